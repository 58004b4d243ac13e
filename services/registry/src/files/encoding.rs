//! How a text file is encoded: told by its mark, else by which encoding its first lines are valid in.

use std::io::{self, Read};

use encoding_rs::{CoderResult, Decoder, GB18030, UTF_16BE, UTF_16LE};

/// How the text of a file is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    Utf8,
    /// GB18030, and with it GBK and GB2312.
    Gb18030,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
}

impl Encoding {
    /// The encoding of that name, as people write it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let plain: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        Some(match plain.as_str() {
            "utf8" | "utf8bom" | "utf8sig" => Self::Utf8,
            "gb18030" | "gbk" | "gb2312" | "cp936" => Self::Gb18030,
            "utf16" | "utf16le" => Self::Utf16Le,
            "utf16be" => Self::Utf16Be,
            _ => return None,
        })
    }

    /// The encoding of the file that begins with these bytes, and the length of its mark. `whole`: nothing follows.
    pub fn of(block: &[u8], whole: bool) -> (Self, usize) {
        match block {
            [0xEF, 0xBB, 0xBF, ..] => (Self::Utf8, 3),
            [0xFF, 0xFE, ..] => (Self::Utf16Le, 2),
            [0xFE, 0xFF, ..] => (Self::Utf16Be, 2),
            [0x84, 0x31, 0x95, 0x33, ..] => (Self::Gb18030, 4),
            _ => (Self::by_lines(block, whole), 0),
        }
    }

    /// By the lines that are not ASCII: a few damaged ones do not outvote the others.
    fn by_lines(block: &[u8], whole: bool) -> Self {
        let (mut utf8, mut gb18030) = (0_usize, 0_usize);
        let mut lines = block.split(|byte| *byte == b'\n').peekable();
        while let Some(line) = lines.next() {
            if line.is_ascii() {
                continue;
            }
            let cut = lines.peek().is_none() && !whole;
            if valid_utf8(line, cut) {
                utf8 += 1;
            } else if valid_gb18030(line, cut) {
                gb18030 += 1;
            }
        }
        if gb18030 > utf8 {
            Self::Gb18030
        } else {
            Self::Utf8
        }
    }

    /// The length of its mark at the beginning of these bytes.
    pub fn mark(self, block: &[u8]) -> usize {
        match Self::of(block, true) {
            (marked, length) if marked == self => length,
            _ => 0,
        }
    }

    /// The text of a cell; none: it holds bytes that are no character.
    pub fn decode(self, bytes: &[u8]) -> Option<String> {
        match self {
            Self::Gb18030 if !bytes.is_ascii() => GB18030
                .decode_without_bom_handling_and_without_replacement(bytes)
                .map(std::borrow::Cow::into_owned),
            Self::Utf8 | Self::Gb18030 => std::str::from_utf8(bytes).ok().map(str::to_owned),
            // Read through `Utf16`, which puts U+FFFD for what is no character.
            Self::Utf16Le | Self::Utf16Be => std::str::from_utf8(bytes)
                .ok()
                .filter(|text| !text.contains('\u{FFFD}'))
                .map(str::to_owned),
        }
    }

    /// What to say of bytes that are no character.
    pub const fn fault(self) -> &'static str {
        match self {
            Self::Utf8 => {
                "not UTF-8 as the rest of the file; correct the row, or name the encoding (--encoding gb18030)"
            }
            Self::Gb18030 => {
                "not GB18030 as the rest of the file; correct the row, or name the encoding (--encoding utf-8)"
            }
            Self::Utf16Le | Self::Utf16Be => "not UTF-16 as the rest of the file; correct the row",
        }
    }
}

/// `cut`: the line may end inside a character.
fn valid_utf8(line: &[u8], cut: bool) -> bool {
    match std::str::from_utf8(line) {
        Ok(_) => true,
        Err(error) => cut && error.error_len().is_none(),
    }
}

fn valid_gb18030(line: &[u8], cut: bool) -> bool {
    let mut decoder = GB18030.new_decoder_without_bom_handling();
    let mut out = String::with_capacity(line.len() * 2 + 16);
    let (result, _) = decoder.decode_to_string_without_replacement(line, &mut out, !cut);
    matches!(result, encoding_rs::DecoderResult::InputEmpty)
}

/// Reads UTF-16 as UTF-8; what is no character becomes U+FFFD.
pub struct Utf16<R> {
    reader: R,
    decoder: Decoder,
    input: Vec<u8>,
    filled: usize,
    ended: bool,
    output: Vec<u8>,
    given: usize,
}

impl<R: Read> Utf16<R> {
    /// Over a reader that stands behind the mark.
    pub fn new(reader: R, big_endian: bool) -> Self {
        let encoding = if big_endian { UTF_16BE } else { UTF_16LE };
        Self {
            reader,
            decoder: encoding.new_decoder_without_bom_handling(),
            input: vec![0; 64 << 10],
            filled: 0,
            ended: false,
            output: Vec::new(),
            given: 0,
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        let Some(free) = self.input.get_mut(self.filled..) else {
            return Ok(());
        };
        let read = self.reader.read(free)?;
        self.ended = read == 0;
        self.filled += read;
        let most = self.decoder.max_utf8_buffer_length(self.filled);
        self.output.resize(most.unwrap_or(self.filled * 3 + 16), 0);
        let input = self.input.get(..self.filled).unwrap_or_default();
        let (result, taken, written, _) =
            self.decoder
                .decode_to_utf8(input, &mut self.output, self.ended);
        debug_assert!(matches!(result, CoderResult::InputEmpty));
        self.output.truncate(written);
        self.given = 0;
        self.input.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        Ok(())
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.output.len() && !self.ended {
            self.refill()?;
        }
        let ready = self.output.get(self.given..).unwrap_or_default();
        let length = ready.len().min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..length), ready.get(..length)) {
            to.copy_from_slice(from);
        }
        self.given += length;
        Ok(length)
    }
}
