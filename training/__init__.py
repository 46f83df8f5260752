"""How the embedded model is made: art, scenes, training, evaluation, export. Never imported by gouache."""
