"""Uploaded files in the place of their ids."""

import base64

import pytest

from translators.errors import OpenAIError
from translators.uploaded_files import CopiedFile, UploadedFile, find_file_ids, prepare_copy, put_files

GIF = base64.b64decode("R0lGODlhAQABAAAAACwAAAAAAQABAAA7")
PDF = b"%PDF-1.4\n%%EOF\n"
FILES = {
    "file-pdf": UploadedFile("report.pdf", PDF),
    "file-gif": UploadedFile("dot.gif", GIF),
    "file-text": UploadedFile("notes.md", "Grüße".encode()),
    "file-zip": UploadedFile("all.zip", b"PK\x03\x04"),
}


def document(file_id, **more):
    return {"type": "document", "source": {"type": "file", "file_id": file_id}, **more}


def image(file_id, **more):
    return {"type": "image", "source": {"type": "file", "file_id": file_id}, **more}


def asking(*blocks):
    return {"model": "claude", "messages": [{"role": "user", "content": list(blocks)}]}


def put(*blocks):
    return put_files(asking(*blocks), FILES, {})["messages"][0]["content"]


@pytest.mark.parametrize(
    ("block", "kind", "media_type", "title"),
    [
        (document("file-pdf"), "document", "application/pdf", "report.pdf"),
        (document("file-pdf", title="mine.pdf"), "document", "application/pdf", "mine.pdf"),
        (document("file-text"), "document", "text/plain", "notes.md"),
        (document("file-gif"), "image", "image/gif", None),
        (image("file-gif"), "image", "image/gif", None),
    ],
    ids=["pdf", "named", "text", "image_as_file", "image"],
)
def test_a_file_is_what_its_content_says(block, kind, media_type, title):
    [made] = put(block)
    assert (made["type"], made["source"]["media_type"], made.get("title")) == (kind, media_type, title)


def test_the_content_and_the_mark_of_the_cache_are_kept():
    mark = {"cache_control": {"type": "ephemeral"}}
    pdf, text, dot = put(document("file-pdf", **mark), document("file-text"), image("file-gif", **mark))
    assert base64.b64decode(pdf["source"]["data"]) == PDF
    assert text["source"]["data"] == "Grüße"
    assert base64.b64decode(dot["source"]["data"]) == GIF
    assert ["cache_control" in block for block in (pdf, text, dot)] == [True, False, True]


def test_files_in_results_of_tools_are_found_and_put():
    result = {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "b"}, image("file-gif")]}
    plain = {"type": "tool_result", "tool_use_id": "c", "content": "file-pdf"}
    bare = {"type": "tool_result", "tool_use_id": "d"}
    params = asking(result, plain, bare)
    assert find_file_ids(params).shown == ["file-gif"]
    made = put_files(params, FILES, {})["messages"][0]["content"]
    assert made[0]["content"][1]["source"]["type"] == "base64"
    assert made[1:] == [plain, bare]


def test_ids_are_found_once_and_those_of_claude_itself_are_left_to_it():
    params = asking(document("file-pdf"), document("file_011Claude"), image("file-gif"), document("file-pdf"))
    assert find_file_ids(params).shown == ["file-pdf", "file-gif"]
    assert put_files(params, FILES, {})["messages"][0]["content"][1] == document("file_011Claude")


def test_the_parameters_given_are_not_changed():
    params = asking(document("file-pdf"))
    put_files(params, FILES, {})
    assert params == asking(document("file-pdf"))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (document("file-none"), "No such File object: file-none"),
        (document("file-zip"), "Invalid file data"),
        (image("file-pdf"), "unsupported image"),
    ],
    ids=["unknown", "zip", "pdf_as_image"],
)
def test_a_file_that_cannot_be_shown_is_a_400(block, message):
    with pytest.raises(OpenAIError, match=message) as caught:
        put(block)
    assert caught.value.status == 400
    assert (caught.value.param or "").startswith("file_id")


@pytest.mark.parametrize(
    ("file_id", "media_type", "kind"),
    [
        ("file-pdf", "application/pdf", "document"),
        ("file-gif", "image/gif", "image"),
        ("file-text", "text/plain", "document"),
    ],
)
def test_a_copy_is_what_its_content_says(file_id, media_type, kind):
    copy = prepare_copy(FILES[file_id])
    assert (copy.filename, copy.media_type, copy.kind) == (FILES[file_id].filename, media_type, kind)
    assert copy.content == FILES[file_id].content


@pytest.mark.parametrize("begin", [b"%PDF-1.4", b"\x89PNG\r\n\x1a\n"], ids=["pdf", "image"])
def test_a_copy_of_what_may_be_large_has_the_very_bytes(begin):
    file = UploadedFile("large", begin + bytes(1000))
    assert prepare_copy(file).content is file.content


def test_a_copy_of_text_begins_with_its_text():
    assert prepare_copy(UploadedFile("a.txt", "Grüße".encode("utf-8-sig"))).content == "Grüße".encode()


def test_no_copy_is_made_of_what_claude_cannot_read():
    with pytest.raises(OpenAIError, match="Expected a PDF, a text file or an image"):
        prepare_copy(FILES["file-zip"])


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ('a<b>:"c|d?*e.txt', "a_b___c_d__e.txt"),
        ("a/../b\\c.txt", "a_.._b_c.txt"),
        ("x" * 300 + ".txt", "x" * 251 + ".txt"),
    ],
    ids=["marks", "path", "long"],
)
def test_the_name_of_a_copy_is_one_that_claude_takes(name, sent):
    assert prepare_copy(UploadedFile(name, b"text")).filename == sent


def test_a_copy_is_named_by_claudes_id_and_keeps_title_and_mark():
    copies = {
        "file-pdf": CopiedFile("report.pdf", "file_1", "document"),
        "file-gif": CopiedFile("dot.gif", "file_2", "image"),
    }
    mark = {"cache_control": {"type": "ephemeral"}}
    given = asking(document("file-pdf", **mark), document("file-pdf", title="mine"), document("file-gif"))
    assert put_files(given, copies, {})["messages"][0]["content"] == [
        document("file_1", title="report.pdf", **mark),
        document("file_1", title="mine"),
        image("file_2"),
    ]
    with pytest.raises(OpenAIError) as refused:
        put_files(asking(image("file-pdf")), copies, {})
    assert refused.value.code == "invalid_image_format"
