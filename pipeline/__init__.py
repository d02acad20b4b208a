"""ColourGAN: what a pretrained encoder and a PatchGAN bring to image colourisation, as a pipeline of stages."""
