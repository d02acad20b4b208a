"""What each figure means, and where it misleads; an arrow says which way is better."""

FIGURES = {
    "skill": (
        "skill ↑",
        "1 − L1 / L1 of grey: 0 is painting nothing, 1 is every pixel's true colour. Paired, picture by picture.",
        "Pale, safe colours score well, and a plausible colour that is not the true one scores worse than none.",
    ),
    "l1": (
        "L1 ↓",
        "Mean absolute error of ab / 110, over pixels and both channels. Paired.",
        "Rewards grey; the same number means something else on data of other colourfulness, where skill compares.",
    ),
    "edge_l1": (
        "L1 of edges ↓",
        "L1 of what neighbouring pixels differ by: high for specks, spots and checkerboards. Paired.",
        "Grey, which has no edges at all, scores well.",
    ),
    "colourfulness": (
        "colourfulness",
        "Hasler & Süsstrunk's M³ (2003): 0 is grey, 59 'quite colourful'. Not paired.",
        "Says how lively colours are, not whether they are right: noise is colourful.",
    ),
    "delta_colourfulness": (
        "ΔCF",
        "Mean colourfulness less that of the real pictures: below 0 is paler. Not paired.",
        "A difference of means: some pictures too lively and others too pale come to 0.",
    ),
    "psnr": (
        "PSNR in dB ↑",
        "Peak signal-to-noise ratio in sRGB. Paired.",
        "Lightness, which was given, makes most of it; pale colours score well.",
    ),
    "ssim": (
        "SSIM ↑",
        "Structural similarity in sRGB (Wang et al. 2004). Paired.",
        "Lightness, which was given, makes nearly all of it.",
    ),
    "ciede2000": (
        "CIEDE2000 ↓",
        "Mean colour difference as eyes see it (Sharma et al. 2005); 1 can just be seen. Paired.",
        "As L1: a plausible colour that is not the true one counts as wrong.",
    ),
    "accuracy_2": (
        "accuracy within 2 ↑",
        "Share of pixels whose rounded L is within 2, and a and b within 4.4, of the real ones (Nazeri et al. 2018).",
        "Pale pixels are right in grey, too.",
    ),
    "accuracy_5": (
        "accuracy within 5 ↑",
        "The same within 5, and a and b within 11.",
        "Pale pixels are right in grey, too.",
    ),
    "rgb_error": (
        "error of RGB ↓",
        "Mean absolute error of RGB in [0, 1]. Paired.",
        "As PSNR: lightness, which was given, makes most of it.",
    ),
    "colourfulness_absolute": (
        "absolute colourfulness",
        "Colourfulness with |R − G| and |(R + G) / 2 − B|, as DDColor's code takes it. Not paired.",
        "As colourfulness, with which it cannot be compared.",
    ),
    "judge_accuracy": (
        "judge's accuracy ↑",
        "Share of the pictures that a classifier of colour pictures, which no loss has used, takes for what they are.",
        "It knows lightness, too, and is right on most grey pictures.",
    ),
    "judge_fd": (
        "Fréchet distance ↓",
        "Between Gaussians of the judge's features of painted and of real pictures; 0 is alike. Not paired.",
        "The GAN's loss holds such a distance, to another classifier, so it says less of the GAN than of others. It "
        "falls with the number of pictures and depends on the judge: compare on the same target and numbers alone.",
    ),
    "judge_fd_hue": (
        "Fréchet distance of hues ↓",
        "The same after each picture's chroma was scaled to the real picture's colourfulness, so that only which "
        "colours there are, and where, counts (Li et al. 2025, arXiv 2503.14974). Not paired.",
        "Grey cannot be scaled: its distance is the plain one.",
    ),
    "judge_kid": (
        "kernel distance ↓",
        "KID (Bińkowski et al. 2018) on the judge's features of painted and of real pictures; 0 is alike. Not paired.",
        "Depends on the judge, and may come out below 0.",
    ),
    "lpips": (
        "LPIPS ↓",
        "Learned perceptual distance to the real picture, version 0.1 on AlexNet (Zhang et al. 2018); 0 is the same. "
        "Paired; the features are of ImageNet's photographs.",
        "Lightness, which was given, makes it small even for grey; pictures below 64 pixels are enlarged.",
    ),
    "inception_fid": (
        "Fréchet Inception distance ↓",
        "Fréchet distance (Heusel et al. 2017) in Inception's 2,048 features, of ImageNet's photographs. Not paired.",
        "Falls with the number of pictures, of which papers mostly have 50,000.",
    ),
    "inception_kid": (
        "kernel distance, Inception ↓",
        "KID in Inception's features. Not paired.",
        "Papers often give it × 100 or × 1,000.",
    ),
}


def label(metric: str) -> str:
    """A figure's name for people."""
    return FIGURES[metric][0] if metric in FIGURES else metric.replace("_", " ")
