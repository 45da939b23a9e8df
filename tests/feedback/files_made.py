"""Files for tests, made byte by byte: honest ones, and what attackers send instead."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int = 2, height: int = 2, *, more: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = zlib.compress(b"\0" * 6)
    return b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def jpeg(width: int = 2, height: int = 2, *, comment: bytes = b"", trailer: bytes = b"") -> bytes:
    app0 = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0\1\1\0\0\1\0\1\0\0"
    said = b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment if comment else b""
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\1\x11\0"
    return b"\xff\xd8" + app0 + said + frame + b"\xff\xda\0\x08\1\1\0\0?\0" + b"\x12" * 20 + b"\xff\xd9" + trailer


def gif() -> bytes:
    return b"GIF89a" + struct.pack("<HH", 2, 2) + b"\0\0\0" + b"," + b"\0" * 12 + b";"


def webp() -> bytes:
    body = b"WEBPVP8 " + b"\0" * 12
    return b"RIFF" + struct.pack("<I", len(body)) + body


def boxes(brand: bytes, *, more: bytes = b"") -> bytes:
    ftyp = brand + b"\0\0\0\0" + brand
    return struct.pack(">I", 8 + len(ftyp)) + b"ftyp" + ftyp + struct.pack(">I", 16) + b"mdat" + b"\0" * 8 + more


def webm() -> bytes:
    return b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm" + b"\0" * 40


def pdf(more: bytes = b"") -> bytes:
    return b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\n" + more + b"\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def archive(name: str = "a.txt", content: bytes = b"hello") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return packed.getvalue()


HONEST: dict[str, tuple[bytes, str]] = {
    "photo.jpg": (jpeg(), "image/jpeg"),
    "phone.jpeg": (jpeg(4000, 3000, trailer=b"SEFT" + b"\0" * 40), "image/jpeg"),  # phones add to a photo
    "shot.png": (png(), "image/png"),
    "anim.gif": (gif(), "image/gif"),
    "pic.webp": (webp(), "image/webp"),
    "IMG_1.HEIC": (boxes(b"heic"), "image/heic"),
    "pic.avif": (boxes(b"avif"), "image/avif"),
    "film.mp4": (boxes(b"isom"), "video/mp4"),
    "film.mov": (boxes(b"qt  "), "video/quicktime"),
    "film.webm": (webm(), "video/webm"),
    "bill.pdf": (pdf(), "application/pdf"),
}
HOSTILE: dict[str, bytes] = {
    "page.html": b"<!doctype html><script>alert(1)</script>",
    "page.jpg": b"<html><body onload=alert(1)>",
    "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "drawing.png": b'<?xml version="1.0"?><svg onload="alert(1)"/>',
    "bomb.zip": archive("zeros", b"\0" * 2_000_000),
    "bomb.pdf": archive("zeros", b"\0" * 2_000_000),
    "gifar.gif": gif() + archive("Evil.class"),
    "photo-archive.jpg": jpeg(trailer=archive("evil.js")),
    "pdf-archive.pdf": pdf() + archive("evil.js"),
    "commented.jpg": jpeg(comment=b"<script>alert(1)</script>"),
    "appended.jpg": jpeg(trailer=b"\n<html><body>x"),
    "php.jpg": jpeg(comment=b"<?php system($_GET[0]); ?>"),
    "text.png": png(more=chunk(b"tEXt", b"Comment\0<ScRiPt>alert(1)</script>")),
    "film.mp4": boxes(b"isom", more=b"<!DOCTYPE html><p>x"),
    "pdf-in.jpg": jpeg(comment=b"%PDF-1.4"),
    "running.pdf": pdf(b"2 0 obj<</S/JavaScript/JS(app.alert(1))>>endobj"),
    "hidden.pdf": pdf(b"2 0 obj<</S/J#61vaScript/JS(app.alert(1))>>endobj"),
    "launch.pdf": pdf(b"2 0 obj<</S/Launch/F(cmd.exe)>>endobj"),
    "huge.png": png(65_000, 65_000),
    "huge.jpg": jpeg(65_000, 65_000),
    "cut.png": png()[:40],
    "cut.jpg": b"\xff\xd8\xff",
    "program.exe": b"MZ" + b"\0" * 200,
    "sheet.xlsx": archive("xl/workbook.xml"),
    "words.txt": b"Just words",
    "rar.jpg": jpeg(trailer=b"Rar!\x1a\x07\x01\0"),
}
