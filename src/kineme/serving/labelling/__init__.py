"""The page and the service of ``kineme label``: a folder of videos is labelled, on this machine alone.

``run`` starts it and ``app`` answers; ``routes`` are the requests of the page, and ``service`` is their shared state.
``videos`` lists the folder, ``changes`` defines a change of labels, and ``store`` keeps them: each change goes to
a history first, and then ``labels.csv`` is written anew. ``groups`` proposes groups. What takes long is done in
processes of their own (``work``), one task after the other for each kind (``helpers``): copies that browsers play,
proposals of a model, people, training, recorded clips.
"""
