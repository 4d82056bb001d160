//! Text of any of the encodings that are met here as UTF-8, without all of it in memory: tables of a million rows. Used by the
//! service's imports.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use encoding_rs::{CoderResult, Decoder, Encoding, GB18030, UTF_8};

const CHUNK: usize = 64 * 1024;

/// The text, and how it was encoded: by its byte order mark, else UTF-8 where every byte of it fits, else GB18030. The file is read
/// once more for that. What cannot be decoded reads as U+FFFD.
///
/// # Errors
/// Where it cannot be read.
pub fn utf8<R: Read + Seek>(mut reader: R) -> io::Result<(impl Read, &'static str)> {
    let encoding = encoding(&mut reader)?;
    reader.seek(SeekFrom::Start(0))?;
    let decoded = Decoded {
        reader,
        decoder: encoding.new_decoder_with_bom_removal(),
        raw: vec![0; CHUNK],
        held: 0..0,
        text: vec![0; CHUNK],
        ready: 0..0,
        ended: false,
        done: false,
    };
    Ok((decoded, if encoding == GB18030 { "GB18030" } else { encoding.name() }))
}

fn encoding(reader: &mut impl Read) -> io::Result<&'static Encoding> {
    let mut raw = vec![0; CHUNK];
    // The beginning of a character whose end is in the next chunk.
    let mut begun = 0;
    let mut first = true;
    loop {
        let read = reader.read(&mut raw[begun..])?;
        let end = begun + read;
        if std::mem::take(&mut first)
            && let Some((marked, _)) = Encoding::for_bom(&raw[..end])
        {
            return Ok(marked);
        }
        if read == 0 {
            return Ok(if begun == 0 { UTF_8 } else { GB18030 });
        }
        match std::str::from_utf8(&raw[..end]) {
            Ok(_) => begun = 0,
            Err(error) if error.error_len().is_none() => {
                raw.copy_within(error.valid_up_to()..end, 0);
                begun = end - error.valid_up_to();
            }
            Err(_) => return Ok(GB18030),
        }
    }
}

struct Decoded<R> {
    reader: R,
    decoder: Decoder,
    raw: Vec<u8>,
    /// What of `raw` is not decoded yet.
    held: Range<usize>,
    text: Vec<u8>,
    /// What of `text` nobody has taken yet.
    ready: Range<usize>,
    ended: bool,
    done: bool,
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() && !self.done {
            if self.held.is_empty() && !self.ended {
                let read = self.reader.read(&mut self.raw)?;
                (self.held, self.ended) = (0..read, read == 0);
            }
            let (result, read, written, _) =
                self.decoder.decode_to_utf8(&self.raw[self.held.clone()], &mut self.text, self.ended);
            self.held.start += read;
            self.ready = 0..written;
            self.done = self.ended && result == CoderResult::InputEmpty;
        }
        let taken = self.ready.len().min(out.len());
        out[..taken].copy_from_slice(&self.text[self.ready.start..self.ready.start + taken]);
        self.ready.start += taken;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (String, &'static str) {
        let (mut reader, name) = utf8(io::Cursor::new(bytes.to_vec())).unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        (text, name)
    }

    #[test]
    fn encodings_are_told_by_the_whole_file() {
        // Plain letters for longer than any first look, and only then something else.
        let text = format!("{}用户订阅，完", "oAbC_123,accept\n".repeat(20_000));
        assert_eq!(read(text.as_bytes()), (text.clone(), "UTF-8"));
        assert_eq!(read(format!("\u{feff}{text}").as_bytes()), (text.clone(), "UTF-8"));
        let (gb, _, wrong) = GB18030.encode(&text);
        assert!(!wrong);
        assert_eq!(read(&gb), (text.clone(), "GB18030"));
        let wide: Vec<u8> = "\u{feff}甲,乙\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(read(&wide), ("甲,乙\n".to_owned(), "UTF-16LE"));
        assert_eq!(read(b""), (String::new(), "UTF-8"));
    }

    #[test]
    fn a_character_across_two_chunks_is_one() {
        for shift in 0..4 {
            let text = format!("{}{}", "a".repeat(CHUNK - shift), "汉".repeat(CHUNK));
            assert_eq!(read(text.as_bytes()), (text, "UTF-8"));
        }
    }
}
