from pathlib import Path

import nbformat
from nbclient import NotebookClient

TOUR = Path("docs/tour.ipynb")
QUICK = "ENCODER_EPOCHS, UNET_EPOCHS, GAN_EPOCHS, PICTURES = 1, 1, 1, 100"
FEWER = 'from pipeline.datasets import photos\nphotos.TILES = {"train": 210, "validation": 42, "test": 84}'


def test_the_tour_runs_from_its_first_cell_to_its_last():
    notebook = nbformat.read(TOUR, as_version=4)
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    *comment, values = parameters.source.splitlines()
    assert values.partition(" = ")[0] == QUICK.partition(" = ")[0]
    parameters.source = "\n".join([*comment, QUICK, FEWER])
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": "docs"}}).execute()


def test_what_it_shows_was_made_in_one_go():
    cells = [cell for cell in nbformat.read(TOUR, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert sum("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs) >= 8
    assert not [
        output
        for cell in cells
        for output in cell.outputs
        if output.get("name") == "stderr" and "Warning" in output.text
    ]
