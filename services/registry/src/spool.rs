//! Rows of an import put aside until all have come: a little in memory, the rest in a file without
//! a name, so that memory stays bounded and nothing is left behind by a crash. What goes to the file is sealed where
//! the registry seals: the blocks of a file without a name stay on the disk until others are written over them.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use creditgate_proto::v1;
use prost::Message;

use crate::sealed_file::{Kind, SealedReader, SealedWriter};
use crate::sealing::Sealing;

/// How much is held in memory before it goes to the file.
const MEMORY_BYTES: usize = 4 << 20;

/// Rows put aside, in the order in which they came.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    sealing: Sealing,
    memory: Vec<u8>,
    file: Option<Out>,
    file_bytes: u64,
    rows: u64,
}

/// The file, once there is one.
#[derive(Debug)]
enum Out {
    Clear(File),
    Sealed(SealedWriter<File>),
}

impl Spool {
    /// An empty one; a file is made in `dir` only when it is needed.
    #[must_use]
    pub(crate) fn new(dir: &Path, sealing: &Sealing) -> Self {
        Self {
            dir: dir.to_owned(),
            sealing: sealing.clone(),
            memory: Vec::new(),
            file: None,
            file_bytes: 0,
            rows: 0,
        }
    }

    /// How many rows there are.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// How many bytes they take.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.file_bytes + self.memory.len() as u64
    }

    /// Puts a row aside. Writes to the file now and then, without waiting for the disk.
    ///
    /// # Errors
    /// When the file cannot be made or written.
    pub fn push(&mut self, row: &v1::ImportRow) -> io::Result<()> {
        let length = row.encoded_len() as u64;
        self.memory.extend_from_slice(&length.to_le_bytes());
        row.encode(&mut self.memory).map_err(io::Error::other)?;
        self.rows += 1;
        if self.memory.len() >= MEMORY_BYTES {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        let out = match &mut self.file {
            Some(out) => out,
            none => {
                let file = nameless(&self.dir)?;
                none.insert(match self.sealing.sealer() {
                    None => Out::Clear(file),
                    Some(sealer) => Out::Sealed(SealedWriter::new(file, sealer, Kind::Spool)?),
                })
            }
        };
        match out {
            Out::Clear(file) => file.write_all(&self.memory)?,
            Out::Sealed(file) => file.write_all(&self.memory)?,
        }
        self.file_bytes += self.memory.len() as u64;
        self.memory.clear();
        Ok(())
    }

    /// The rows from the first one on; one reader at a time.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self) -> io::Result<Rows<'_>> {
        let from_start = |file: &File| -> io::Result<BufReader<File>> {
            let mut file = file.try_clone()?;
            file.seek(SeekFrom::Start(0))?;
            Ok(BufReader::with_capacity(1 << 20, file))
        };
        let head: Box<dyn Read + Send + '_> = match &self.file {
            Some(Out::Clear(file)) => Box::new(from_start(file)?.take(self.file_bytes)),
            Some(Out::Sealed(out)) => {
                let file = from_start(out.get_ref())?;
                let (sealer, pieces) = (out.sealer(), out.pieces());
                let sealed = SealedReader::of_pieces(file, sealer, Kind::Spool, pieces)?;
                Box::new(sealed.chain(out.waiting()))
            }
            None => Box::new(io::empty()),
        };
        Ok(Rows {
            from: Box::new(head.chain(self.memory.as_slice())),
            left: self.rows,
            buffer: Vec::new(),
        })
    }
}

/// Reads rows back.
pub struct Rows<'a> {
    from: Box<dyn Read + Send + 'a>,
    left: u64,
    buffer: Vec<u8>,
}

impl Iterator for Rows<'_> {
    type Item = io::Result<v1::ImportRow>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(self.row())
    }
}

impl Rows<'_> {
    fn row(&mut self) -> io::Result<v1::ImportRow> {
        let mut length = [0; 8];
        self.from.read_exact(&mut length)?;
        let length = usize::try_from(u64::from_le_bytes(length)).map_err(io::Error::other)?;
        self.buffer.resize(length, 0);
        self.from.read_exact(&mut self.buffer)?;
        v1::ImportRow::decode(self.buffer.as_slice()).map_err(io::Error::other)
    }
}

/// A file that is gone from its directory already and from the disk when it is closed.
fn nameless(dir: &Path) -> io::Result<File> {
    let path = dir.join(format!("import-{}.spool", uuid::Uuid::new_v4()));
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}
