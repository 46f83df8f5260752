"""The five uses of a picture, each a stub with its posts and tasks: `gouache run examples/logo.json`."""
