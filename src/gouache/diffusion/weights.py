"""The folder of weights: which files there are, and that they are whole.

`model.json` is written last and read first: without it there is no model in the folder.
"""

TEXT_ENCODER = "text-encoder.xml"
TOKENIZER = "tokenizer.json"
