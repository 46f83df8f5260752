"""A library of a few drawings in every style, for tests of training."""

import json
import lzma

from training import library

DRAWINGS = {
    "cat": '<circle cx="16" cy="16" r="12" fill="#e9a13b"/><circle cx="12" cy="13" r="2"/>',
    "car": '<rect x="2" y="10" width="28" height="12" rx="3" fill="#3b7de9"/>',
    "star": '<path d="M16 2l4 10h10l-8 6 3 11-9-7-9 7 3-11-8-6h10z" fill="#f4c430"/>',
    "tree": '<path d="M16 2l10 20H6z" fill="#3a9a4a"/><path d="M14 22h4v8h-4z" fill="#7a4a2a"/>',
}


def write_library(root, drawings=DRAWINGS, told_of=lambda name: {}):
    """Write the sprites, their art of 64 pixels and their bank into a folder and return the folder.

    What `told_of` says of a name stands in its rows instead of what they say otherwise.
    """
    sprites, vectors = [], []
    for number, (name, body) in enumerate(drawings.items()):
        for style, source in library.STYLE_SOURCES.items():
            row = {
                "id": f"{source}:{name}",
                "src": source,
                "emoji": chr(0x1F400 + number),
                "vector": True,
                "mono": style == "emblem",
                "name": name,
                "aliases": [f"{name}let"],
                "near": [],
                "kind": "object",
                "kw": [name],
                "cat": "thing",
                "article": "a",
                "color": None,
                "hue": 35 if name == "cat" else None,
                "recolor": name == "cat",
            } | told_of(name)
            sprites.append(row)
            svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">{body}</svg>'
            vectors.append({"id": row["id"], "svg": svg})
    for file, rows in (("sprites", sprites), ("vectors", vectors)):
        with lzma.open(root / f"{file}.jsonl.xz", "wt") as out:
            out.writelines(json.dumps(row) + "\n" for row in rows)
    library.build(root, root / "art", root / "bank", 64)
    return root
