"""The documents of the service, as its OpenAPI description shows them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

_ID = "5f0c2a9d7b3e41c8a6d2f4e80b1c9d37"


class ErrorText(BaseModel):
    """What went wrong."""

    code: str = Field(description="for programs; it does not change", examples=["bad_video"])
    message: str = Field(description="for people, one line", examples=["clip.mp4: is not a video that can be read"])


class Error(BaseModel):
    """The form of every error."""

    error: ErrorText


class Accuracy(BaseModel):
    """How often the model was right on test videos of groups that it had never seen."""

    top1: float = Field(examples=[0.87])
    interval: list[float] | None = Field(description="95 %, low and high", examples=[[0.79, 0.94]])
    videos: int = Field(examples=[120])
    groups: int = Field(examples=[12])
    leaky: bool = Field(description="groups of the test may have been in training: the figure is too good")


class Model(BaseModel):
    """A model that may be asked."""

    name: str = Field(examples=["my-model"])
    approach: str = Field(examples=["lrcn"])
    backbone: str | None = Field(examples=["small-cnn"])
    labels: list[str] = Field(examples=[["wave", "jump"]])
    clip: str = Field(description="what it looks at", examples=["20 frames, 8 a second, 64 x 64 pixels"])
    trained_on: str = Field(examples=["a data set of its owner (fingerprint 4f1d0c9b7a3e)"])
    accuracy: Accuracy | None = Field(description="null where it was not measured here")
    says: str = Field(description="the accuracy in a sentence")
    knows_background: bool = Field(description="whether it can say that nothing known happens")
    streams: bool = Field(description="whether it can follow a camera")
    explains: Literal["when", "where and when"] = Field(
        description="what it can say of where and when it looked; an exported model only when"
    )


class Limits(BaseModel):
    """What is taken."""

    max_bytes: int = Field(examples=[209715200])
    max_duration_s: float = Field(examples=[600])
    max_pixels: int = Field(examples=[9437184])
    links: bool = Field(description="whether the server fetches videos of the web")


class Models(BaseModel):
    """The models of this server, the default first, and its limits."""

    models: list[Model]
    limits: Limits


class Job(BaseModel):
    """A video that is, was, or will be looked at, or whose result is explained."""

    id: str = Field(examples=[_ID])
    state: Literal["waiting", "running", "done", "failed"]
    model: str = Field(examples=["my-model"])
    name: str = Field(examples=["clip.mp4"])
    created_s: float = Field(description="seconds since 1970", examples=[1767225600.0])
    before: int = Field(description="jobs that come first", examples=[0])
    phase: str | None = Field(description="what is being done", examples=["recognising"])
    share: float = Field(description="of all work, 0 to 1", examples=[0.42])
    left_s: float | None = Field(description="how long it may still take", examples=[7.5])
    error: ErrorText | None
    results: dict[str, str] | None = Field(
        description="where the results are, by kind", examples=[{"json": f"/v1/jobs/{_ID}/results/json"}]
    )
    explains: str | None = Field(description="the job whose result this one explains", examples=[None])
    explanations: list[str] = Field(description="the jobs that explain this one's result, the oldest first")


class Link(BaseModel):
    """A video of the web."""

    url: str = Field(examples=["https://example.org/clip.mp4"])
    model: str | None = Field(default=None, examples=["my-model"])


class Explain(BaseModel):
    """What is to be explained."""

    label: str | None = Field(
        default=None, max_length=1000, description="one of the model's; by default the likeliest", examples=["wave"]
    )


class Token(BaseModel):
    """What the page's visitor typed."""

    token: str = Field(max_length=1000)


class Health(BaseModel):
    """Whether all is well."""

    status: str = Field(examples=["ok"])


JOB_EXAMPLE: dict[str, Any] = {
    "id": _ID,
    "state": "waiting",
    "model": "my-model",
    "name": "clip.mp4",
    "created_s": 1767225600.0,
    "before": 0,
    "phase": None,
    "share": 0.0,
    "left_s": None,
    "error": None,
    "results": None,
    "explains": None,
    "explanations": [],
}

# The body of POST /v1/predict is read as it comes, so it is described by hand.
PREDICT_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {"type": "string", "format": "binary", "description": "the video"},
                    "model": {"type": "string", "description": "name of a model; the first one by default"},
                },
            }
        },
        "application/json": {
            "schema": Link.model_json_schema(),
            "example": {"url": "https://example.org/clip.mp4"},
        },
    },
}
