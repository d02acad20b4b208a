import pytest
import torch

from pipeline import models, train_gan
from pipeline.errors import PipelineError
from pipeline.networks.classifier import Classifier
from tests.painters import CLASSIFIER


def test_the_features_are_those_of_the_classifier_that_was_trained_on_the_same_pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    classifier = Classifier("resnet20", 3, 2).eval()
    models.save(train_gan.FEATURES, classifier, **CLASSIFIER)
    rgb = torch.rand(2, 3, 32, 32)
    assert torch.equal(train_gan.features(CLASSIFIER["data"])(rgb), classifier.body(rgb))
    with pytest.raises(PipelineError, match=r"^models/features\.safetensors: given one trained on .*, needed others; "):
        train_gan.features("others")
