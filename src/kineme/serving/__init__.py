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

How it hangs together: ``app`` and ``jobs`` answer requests; what takes long is a job in ``store`` (SQLite), which
``runner`` hands to a process of its own (``worker_process`` here, ``worker`` there); ``live`` follows cameras;
``guard`` looks at every request first.
"""
