//! Frames of Amazon's event stream, written.

#![expect(clippy::expect_used, reason = "a helper of a test fails the test")]
#![allow(dead_code, reason = "not every test that shares this writes every frame")]

/// A frame as Amazon writes it.
pub fn frame(kind: &str, payload: &[u8]) -> Vec<u8> {
    frame_of(&[(":event-type", kind)], payload)
}

/// A frame with these headers, all of them texts.
pub fn frame_of(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let header: Vec<u8> = headers
        .iter()
        .flat_map(|(name, value)| {
            let length = u8::try_from(name.len()).expect("short");
            [&[length][..], name.as_bytes(), &[7], &u16::try_from(value.len()).expect("short").to_be_bytes(), value.as_bytes()].concat()
        })
        .collect();
    let total = u32::try_from(16 + header.len() + payload.len()).expect("short");
    let mut frame = [total.to_be_bytes(), u32::try_from(header.len()).expect("short").to_be_bytes()].concat();
    frame.extend_from_slice(&crc(&frame).to_be_bytes());
    frame.extend_from_slice(&[&header, payload].concat());
    let tail = crc(&frame).to_be_bytes();
    frame.extend_from_slice(&tail);
    frame
}

/// CRC-32 bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}
