import pytest

from pipeline.model_files import names
from pipeline.system.errors import PipelineError


def test_a_model_is_found_by_name_or_path(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.touch()
    monkeypatch.setitem(names.TRAINED, "unet", path)
    assert names.find_model("unet") == path
    assert names.find_model(str(path)) == path
    with pytest.raises(PipelineError, match="judge"):
        names.find_model("judge")
    for folder in (str(tmp_path), ""):  # as of a variable that is not set
        with pytest.raises(PipelineError, match="given a folder; give unet, gan, photograph or the path of a model"):
            names.find_model(folder)
