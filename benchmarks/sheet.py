"""Pictures one below the other, all of one width: `python -m benchmarks.sheet OUT PICTURE…`."""

import argparse
from pathlib import Path

from PIL import Image

WIDTH, GAP = 800, 6  # pixels: of each picture, and between two


def main() -> None:
    """Write one picture made of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="what is written, in the format that its name says")
    parser.add_argument("pictures", nargs="+", type=Path)
    arguments = parser.parse_args()
    rows = []
    for path in arguments.pictures:
        with Image.open(path) as picture:
            height = round(picture.height * WIDTH / picture.width)
            rows.append(picture.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS))
    sheet = Image.new("RGB", (WIDTH, sum(row.height + GAP for row in rows) - GAP), "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height + GAP
    sheet.save(arguments.out, quality=85)


if __name__ == "__main__":
    main()
