//! Compression, bounded in both directions.

use zstd::zstd_safe;

/// Level 3 is zstd's own default; higher ones save little on parts of some hundred KiB.
const LEVEL: i32 = 3;

/// Why bytes do not inflate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inflation {
    /// Not one zstd frame, or a broken or cut one.
    Broken,
    /// Something follows the frame.
    Trailing,
    /// Not as long as said.
    WrongLength,
}

/// Compresses into one zstd frame.
pub(super) fn squeeze(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    zstd::bulk::compress(bytes, LEVEL)
}

/// Inflates one zstd frame that holds exactly `length` bytes. Never writes more than these, whatever the frame says.
pub(super) fn inflate(frame: &[u8], length: usize) -> Result<Vec<u8>, Inflation> {
    let frame_length = zstd_safe::find_frame_compressed_size(frame).map_err(|_| Inflation::Broken)?;
    if frame_length != frame.len() {
        return Err(Inflation::Trailing);
    }
    // Before any memory is asked for: a small frame may promise much.
    match zstd_safe::get_frame_content_size(frame) {
        Ok(Some(told)) if told == length as u64 => {}
        Ok(Some(_)) => return Err(Inflation::WrongLength),
        Ok(None) | Err(_) => return Err(Inflation::Broken),
    }
    let bytes = zstd::bulk::decompress(frame, length).map_err(|_| Inflation::Broken)?;
    if bytes.len() == length { Ok(bytes) } else { Err(Inflation::WrongLength) }
}
