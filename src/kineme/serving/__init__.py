"""The web page and the REST service of ``kineme serve``.

A client in ten lines, with the standard library and ``requests``::

    import time, requests

    server = "http://127.0.0.1:8765"
    with open("clip.mp4", "rb") as video:
        answer = requests.post(f"{server}/v1/predict", files={"file": video}, data={"model": "my-model"})
    answer.raise_for_status()
    job = answer.json()
    while job["state"] in ("waiting", "running"):
        time.sleep(1)
        job = requests.get(f"{server}/v1/jobs/{job['id']}").json()
    print(requests.get(f"{server}{job['results']['json']}").json()["segments"] if job["results"] else job["error"])

How it hangs together: ``guard`` looks at every request first, ``app`` and ``jobs`` answer it. What takes long is a job
in ``store`` (SQLite), which ``runner`` hands to ``worker``, in a process of its own; ``checks`` looks at uploads before
that. ``live`` follows cameras. ``connections``, ``places`` and ``visitors`` limit what each visitor may take.
"""
