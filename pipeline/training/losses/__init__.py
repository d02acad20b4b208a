"""The parts of the GAN's loss; `pipeline/train_gan.py` puts them together."""
