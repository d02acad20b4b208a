"""The networks: encoder, U-Net and PatchGAN, and the weights of others."""
