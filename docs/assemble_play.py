"""Assembles the play page in a folder: page, package, engine and voices.

    python docs/assemble_play.py FOLDER

The page's sources are docs/play and web/, the engine is web/build/fastwavenet.wasm of `make wasm`.
Without the engine the page is complete, and its status line states that the engine is missing.
"""

from __future__ import annotations

import argparse
import gzip
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENGINE = ROOT / "web/build/fastwavenet.wasm"
VOICES = ("recorder-16k", "speech-16k")
CLIP = "arctic_a0009"
OF_SITE = re.compile(r" *<span data-site>.*?</span>\n", re.DOTALL)


def assemble(folder: Path, engine: Path = ENGINE, *, site: bool = False) -> int:
    """Writes the page's files, in the place of older ones; returns their bytes together.

    site: whether the pages of the course lie beside the folder; else the page has no link to them.
    Raises OSError.
    """
    package, voices = folder / "fastwavenet", folder / "voices"
    for made in (folder, package, voices):
        made.mkdir(parents=True, exist_ok=True)
    copies = [(path, folder) for path in (ROOT / "docs/play").iterdir()]
    copies += [(path, package) for path in (ROOT / "web").glob("*.js")]
    copies += [(ROOT / f"fastwavenet/data/{CLIP}.flac", voices)]
    for path, place in copies:
        shutil.copy(path, place)
    packed = [(ROOT / f"fastwavenet/voices/{name}.safetensors", voices) for name in VOICES]
    packed += [(engine, package)] * engine.exists()
    for path, place in packed:
        data = gzip.compress(path.read_bytes(), 9, mtime=0)  # without the time: equal bytes
        (place / f"{path.name}.gz").write_bytes(data)
    (voices / "NOTICES.txt").write_text(notices(), "utf-8")
    if not site:
        page = folder / "index.html"
        page.write_text(OF_SITE.sub("", page.read_text("utf-8")), "utf-8")
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def notices() -> str:
    """The licences of the voices and of the recording, one behind another."""
    files = [ROOT / f"fastwavenet/voices/{name}.COPYING.txt" for name in VOICES]
    files += [ROOT / f"fastwavenet/data/{CLIP}.COPYING.txt"]
    return "\n\n".join(f"{path.name}\n\n{path.read_text('utf-8')}" for path in files)


def main() -> None:
    parser = argparse.ArgumentParser(description="Assembles the play page in a folder.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    size = assemble(folder)
    missing = "" if ENGINE.exists() else ", without the engine: `make wasm` builds it"
    print(f"{folder}: {size / 1e6:.1f} MB{missing}")
    print(f"Serve it and open http://localhost:8000: python3 -m http.server -d {folder}")


if __name__ == "__main__":
    main()
