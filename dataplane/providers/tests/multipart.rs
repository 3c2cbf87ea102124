//! Forms: however they are cut, the same is read; what servers could read in two ways is refused.

#![expect(clippy::expect_used, clippy::panic, reason = "a helper of a test fails the test")]

use std::collections::BTreeSet;

use providers::head::BadBody;
use providers::multipart::{Form, Reader, boundary};
use providers::passage::{Passage, Target};
use snapshot::Surface;

const BOUNDARY: &[u8] = b"AaB03x";

/// Reads a form cut into pieces of a length.
fn read(body: &[u8], piece: usize, model: Option<&str>) -> Result<Form, BadBody> {
    let mut reader = Reader::new(BOUNDARY);
    body.chunks(piece.max(1)).try_for_each(|bytes| reader.push(bytes))?;
    reader.finish(model)
}

fn part(name: &str, more: &str, value: &[u8]) -> Vec<u8> {
    [format!("--AaB03x\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n").as_bytes(), value, b"\r\n"].concat()
}

fn closed(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), b"--AaB03x--\r\n".to_vec()].concat()
}

fn file(content: &[u8]) -> Vec<u8> {
    part("file", "; filename=\"a \\\"b\\\".wav\"\r\nContent-Type: audio/wav", content)
}

/// What is sent to a target that calls the model otherwise.
fn sent(form: &Form, body: &[u8], model: &str) -> Vec<u8> {
    let speaks = BTreeSet::from([Surface::Transcriptions]);
    let target = Target { speaks: &speaks, quirks: &BTreeSet::new(), drops: false };
    let passage = Passage::form(Surface::Transcriptions, &target, form, model).expect("the same dialect");
    let mut out = Vec::new();
    let mut from = 0;
    for (range, bytes) in passage.splices() {
        out.extend_from_slice(&body[from..range.start]);
        out.extend_from_slice(bytes);
        from = range.end;
    }
    [out, body[from..].to_vec()].concat()
}

#[test]
fn the_same_is_read_however_a_form_is_cut() {
    let content = b"\r\n--AaB03\r\n--AaB0\r\r\n\r\n--".repeat(50);
    let body = closed(&[
        file(&content),
        part("prompt", "", b""),
        part("model", "", b"ears"),
        part("stream", "", b"true"),
        part("response_format", "", b"vtt"),
        file(b""),
    ]);
    for piece in (1..80).chain([1000, body.len()]) {
        let form = read(&body, piece, None).expect("a form");
        assert_eq!((form.head.model.as_str(), form.head.stream, form.head.as_text), ("ears", true, true), "{piece}");
        assert_eq!((form.files, form.file_bytes), (2, content.len() as u64), "{piece}");
        assert!(sent(&form, &body, "ears") == body, "{piece}");
        let other = sent(&form, &body, "other");
        assert_eq!(read(&other, piece, None).expect("a form").head.model, "other");
        assert_eq!(other.len(), body.len() + 1);
    }
}

#[test]
fn a_model_that_a_header_names_is_put_before_all_parts() {
    for lead in [&b""[..], b"\r\n"] {
        let body = [lead, &closed(&[file(b"x")])].concat();
        let form = read(&body, 7, Some("ears")).expect("a form");
        let sent = sent(&form, &body, "upstream");
        assert_eq!(read(&sent, 5, None).expect("a form").head.model, "upstream");
        assert!(sent.ends_with(&body[lead.len()..]));
    }
    assert!(matches!(read(&closed(&[file(b"x")]), 9, None), Err(BadBody::Missing { field: "model" })));
    assert!(matches!(read(&closed(&[part("model", "", b"a")]), 9, Some("b")), Err(BadBody::TwoModels { .. })));
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let model = || part("model", "", b"a");
    let head = |head: &str| closed(&[model(), format!("--AaB03x\r\n{head}\r\n\r\nx\r\n").into_bytes()]);
    let many: String = (0..17).map(|place| format!("x-{place}: y\r\n")).collect();
    for body in [
        closed(&[model(), model()]),
        closed(&[part("model", "; filename=\"m\"", b"a")]),
        closed(&[model(), part("MODEL", "", b"b")]),
        closed(&[model(), part(" model ", "", b"b")]),
        closed(&[part("model", "", b"")]),
        closed(&[part("model", "", &[b'm'; 257])]),
        closed(&[part("model", "", b"a\r\nb")]),
        closed(&[part("model", "", b"\xff")]),
        closed(&[model(), part("stream", "", b"maybe")]),
        head("Content-Type: text/plain"),
        head("Content-Disposition: form-data"),
        head("Content-Disposition: attachment; name=\"x\""),
        head("Content-Disposition: form-data; name=\"x\"; name=\"model\""),
        head("Content-Disposition: form-data; name*=utf-8''model"),
        head("Content-Disposition: form-data; name=\"x"),
        head("Content-Disposition: form-data; name=\"x\"\r\nContent-Disposition: form-data; name=\"y\""),
        head("Content-Disposition: form-data; name=\"x\"\r\nContent-Transfer-Encoding: base64"),
        head("Content-Disposition: form-data; name=\"x\"\r\n folded"),
        head("Content-Disposition: form-data; name=\"x\"\nmodel: b"),
        head(&format!("{many}Content-Disposition: form-data; name=\"x\"")),
        head(&format!("x: {}\r\nContent-Disposition: form-data; name=\"x\"", "y".repeat(9000))),
        [b"--AaB03x\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n--AaB03x\r\n".to_vec(), closed(&[model()])].concat(),
        closed(&(0..257).map(|_| part("x", "", b"y")).chain([model()]).collect::<Vec<_>>()),
        [b"preamble\r\n".to_vec(), closed(&[model()])].concat(),
        [closed(&[model()]), b"epilogue".to_vec()].concat(),
        closed(&[model()])[..40].to_vec(),
        b"--AaB03xy\r\n".to_vec(),
        Vec::new(),
    ] {
        for piece in [1, 7, body.len()] {
            assert!(read(&body, piece, None).is_err(), "{}", String::from_utf8_lossy(&body));
        }
    }
    assert!(read(&closed(&[model()]), 1, None).is_ok());
}

#[test]
fn a_boundary_is_what_the_content_type_announces() {
    for (kind, expected) in [
        ("multipart/form-data; boundary=abc", "abc"),
        ("Multipart/Form-Data;boundary=\"a b:c\"; charset=utf-8", "a b:c"),
        ("multipart/form-data; charset=utf-8; BOUNDARY=----x", "----x"),
    ] {
        assert_eq!(boundary(kind.as_bytes()).as_deref(), Ok(expected.as_bytes()), "{kind}");
    }
    let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
    for kind in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=\"a",
        "multipart/form-data; boundary=\"a \"",
        "multipart/form-data; boundary=a; boundary=a",
        "multipart/form-data; boundary=a\u{e9}",
        "multipart/mixed; boundary=a",
        &long,
    ] {
        assert!(boundary(kind.as_bytes()).is_err(), "{kind}");
    }
}

/// Whatever comes, nothing panics, cuts change nothing, and a form that was read is a form with another model.
fn fuzz_multipart(data: &[u8]) {
    let whole = read(data, data.len(), None);
    for piece in [1, 3, 64] {
        match (&whole, read(data, piece, None)) {
            (Ok(whole), Ok(cut)) => assert_eq!((&whole.head, whole.file_bytes), (&cut.head, cut.file_bytes)),
            (Err(_), Err(_)) => {}
            (whole, cut) => panic!("{whole:?} and {cut:?} of {:?}", String::from_utf8_lossy(data)),
        }
    }
    if let Ok(form) = whole {
        assert_eq!(read(&sent(&form, data, "other"), 11, None).expect("a form").head.model, "other");
    }
}

#[test]
fn spoilt_forms_do_no_harm() {
    let seed = closed(&[file(b"abc"), part("model", "", b"ears"), part("stream", "", b"false")]);
    let spoilt = [&b"\r\n"[..], b"--", b"--AaB03x", b"--AaB03x--", b"\"", b";", b":", b"name=", b"model", b"\0", b"\xff", b"\r", b"\n"];
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    let mut roll = |bound: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(dice >> 33).expect("31 bits") % bound.max(1)
    };
    for _ in 0..20_000 {
        let mut data = seed.clone();
        for _ in 0..=roll(4) {
            if data.is_empty() {
                break;
            }
            let at = roll(data.len());
            match roll(3) {
                0 => drop(data.remove(at)),
                1 => drop(data.splice(at..at, spoilt[roll(spoilt.len())].iter().copied())),
                _ => data.truncate(at.max(1)),
            }
        }
        fuzz_multipart(&data);
    }
}

/// Reads an upload cut into pieces of a length: what the file is called, and what stands where that is said to stand.
fn uploaded(body: &[u8], piece: usize) -> Result<(String, Vec<u8>), BadBody> {
    let mut reader = Reader::of_upload(BOUNDARY);
    body.chunks(piece.max(1)).try_for_each(|bytes| reader.push(bytes))?;
    let (at, name) = reader.finish(None)?.filename.expect("a file");
    Ok((name, body[at].to_vec()))
}

#[test]
fn the_name_of_an_upload_is_where_it_is_said_to_be_however_the_form_is_cut() {
    for (written, name) in [
        ("; filename=\"a \\\"b\\\".wav\"; x=y", "a \\\"b\\\".wav"),
        (";filename=plain.pdf", "plain.pdf"),
        ("; filename= spaced.pdf ;x=\"y\"", "spaced.pdf"),
        ("; FILENAME=\"\u{e9}\u{65e5}.pdf\"\r\nContent-Type: a/b", "\u{e9}\u{65e5}.pdf"),
    ] {
        let body = closed(&[
            part("purpose", "", b"batch"),
            part("file", written, b"\r\n--AaB03\r\n"),
            part("model", "", b"any"),
            part("Model", "", b"any"),
        ]);
        for piece in (1..60).chain([body.len()]) {
            assert_eq!(uploaded(&body, piece), Ok((name.to_owned(), name.as_bytes().to_vec())), "{written} in pieces of {piece}");
        }
    }
    let dice = closed(&[part("purpose", "", b"x"), part("file", "; filename=\"a.pdf\"", b"x")]);
    for at in 0..dice.len() {
        for byte in [b'"', b';', b'\\', 0xff, b'\r'] {
            let mut spoilt = dice.clone();
            spoilt[at] = byte;
            drop(uploaded(&spoilt, 7));
        }
    }
}
