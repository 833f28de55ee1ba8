//! Rows into the bytes of one file, by format.

use std::io::{self, BufWriter, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::FileWriter;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;
use weir_core::connector::OptionInfo;
use weir_core::views::compact_rows;
use weir_core::{Error, Result, TableSpec};

use crate::formats::encode::{CSV_OPTIONS, JSON_OPTIONS, LineEncoder};
use crate::options::Options;

const COMPRESSION: OptionInfo = OptionInfo {
    name: "compression",
    required: false,
    doc: "How files are compressed: 'none', 'gzip' or 'zstd'; 'none' by default.",
};
const PARQUET_COMPRESSION: OptionInfo = OptionInfo {
    name: "parquet.compression",
    required: false,
    doc: "'snappy' (the default), 'zstd', 'gzip' or 'uncompressed'.",
};
const JSON: &[OptionInfo] = &[COMPRESSION, JSON_OPTIONS[0], JSON_OPTIONS[1]];
const CSV: &[OptionInfo] = &[COMPRESSION, CSV_OPTIONS[0], CSV_OPTIONS[1], CSV_OPTIONS[2], CSV_OPTIONS[3]];

/// Rows of a Parquet row group: what a file in progress holds in memory at most.
const ROW_GROUP: usize = 1 << 17;
/// Bytes of lines that are put together before they are compressed or written.
const LINES: usize = 64 << 10;

/// Options of a format.
pub(super) fn options(format: &str) -> &'static [OptionInfo] {
    match format.to_ascii_lowercase().as_str() {
        "json" => JSON,
        "csv" => CSV,
        "parquet" => &[PARQUET_COMPRESSION],
        _ => &[],
    }
}

/// A format with its options.
#[derive(Debug, Clone)]
pub(super) enum Format {
    Lines { encoder: LineEncoder, extension: &'static str, compression: LineCompression },
    Parquet { compression: Compression },
    Arrow,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum LineCompression {
    None,
    Gzip,
    Zstd,
}

#[derive(Clone, Copy)]
enum Name {
    Json,
    Csv,
    Parquet,
    Arrow,
}

impl Format {
    /// The format of `table`, whose files have the columns of `schema`.
    pub(super) fn of(table: &TableSpec, schema: &SchemaRef) -> Result<Self> {
        let options = Options::of(table);
        options.required("format")?;
        let names = [("json", Name::Json), ("csv", Name::Csv), ("parquet", Name::Parquet), ("arrow", Name::Arrow)];
        let lines = |encoder: LineEncoder, extension| -> Result<Self> {
            encoder.check(schema, table)?;
            // Sources of the same table can tell by the files' names.
            let compressions = [
                ("none", LineCompression::None),
                ("auto", LineCompression::None),
                ("gzip", LineCompression::Gzip),
                ("zstd", LineCompression::Zstd),
            ];
            let compression = options.choice(COMPRESSION.name, &compressions)?.unwrap_or(LineCompression::None);
            Ok(Self::Lines { encoder, extension, compression })
        };
        match options.choice("format", &names)? {
            Some(Name::Json) => lines(LineEncoder::json(options)?, "json"),
            Some(Name::Csv) => lines(LineEncoder::csv(options)?, "csv"),
            Some(Name::Parquet) => {
                let compressions = [
                    ("snappy", Compression::SNAPPY),
                    ("zstd", Compression::ZSTD(ZstdLevel::default())),
                    ("gzip", Compression::GZIP(GzipLevel::default())),
                    ("uncompressed", Compression::UNCOMPRESSED),
                ];
                let compression = options.choice(PARQUET_COMPRESSION.name, &compressions)?;
                // Finds columns that Parquet has no type for.
                let format = Self::Parquet { compression: compression.unwrap_or(Compression::SNAPPY) };
                parquet::arrow::ArrowSchemaConverter::new().convert(schema).map_err(|error| {
                    Error::user(format!("the columns of table '{}' cannot be written as parquet", table.name))
                        .with_source(error)
                })?;
                Ok(format)
            }
            Some(Name::Arrow) => Ok(Self::Arrow),
            None => Err(Error::internal("a required option is missing")),
        }
    }

    /// What the names of its files end in.
    pub(super) fn extension(&self) -> String {
        match self {
            Self::Lines { extension, compression, .. } => match compression {
                LineCompression::None => (*extension).to_owned(),
                LineCompression::Gzip => format!("{extension}.gz"),
                LineCompression::Zstd => format!("{extension}.zst"),
            },
            Self::Parquet { .. } => "parquet".to_owned(),
            Self::Arrow => "arrow".to_owned(),
        }
    }

    /// Begins a file.
    pub(super) fn start<W: Write + Send>(&self, file: W, schema: &SchemaRef) -> Result<FileEncoder<W>, WriteError> {
        let file = BufWriter::with_capacity(1 << 16, file);
        let file = Counted { file, written: 0, checksum: crc32fast::Hasher::new() };
        Ok(match self {
            Self::Lines { encoder, compression, .. } => {
                let mut lines = Vec::with_capacity(LINES);
                encoder.header(schema, &mut lines);
                let to = match compression {
                    LineCompression::None => Compressor::None(file),
                    LineCompression::Gzip => Compressor::Gzip(GzEncoder::new(file, flate2::Compression::default())),
                    LineCompression::Zstd => Compressor::Zstd(zstd::Encoder::new(file, 0)?),
                };
                FileEncoder::Lines { encoder: encoder.clone(), lines, to: Box::new(to) }
            }
            Self::Parquet { compression } => {
                let properties = WriterProperties::builder()
                    .set_compression(*compression)
                    .set_max_row_group_row_count(Some(ROW_GROUP))
                    .set_created_by(concat!("weir ", env!("CARGO_PKG_VERSION")).to_owned())
                    .build();
                FileEncoder::Parquet(Box::new(ArrowWriter::try_new(file, schema.clone(), Some(properties))?))
            }
            Self::Arrow => FileEncoder::Arrow(Box::new(FileWriter::try_new(file, schema)?)),
        })
    }
}

/// What can go wrong in writing a file: mostly the disk.
pub type WriteError = Box<dyn std::error::Error + Send + Sync>;

/// The I/O error at the bottom of `error`, if there is one.
pub(super) fn io_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<io::Error>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// A file that takes rows.
pub(super) enum FileEncoder<W: Write + Send> {
    Lines { encoder: LineEncoder, lines: Vec<u8>, to: Box<Compressor<W>> },
    Parquet(Box<ArrowWriter<Counted<W>>>),
    Arrow(Box<FileWriter<Counted<W>>>),
}

impl<W: Write + Send> FileEncoder<W> {
    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), WriteError> {
        match self {
            Self::Lines { encoder, lines, to } => {
                encoder.encode(rows, lines)?;
                if lines.len() >= LINES {
                    to.write_all(lines)?;
                    lines.clear();
                }
            }
            Self::Parquet(to) => to.write(rows)?,
            // The IPC format writes whole buffers, and those of a column of views may be shared with many other batches.
            Self::Arrow(to) => to.write(&compact_rows(rows, |_| true)?)?,
        }
        Ok(())
    }

    /// Bytes so far, what is held in memory counted as it will probably come out.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Lines { lines, to, .. } => to.written() + lines.len() as u64,
            Self::Parquet(to) => (to.bytes_written() + to.in_progress_size()) as u64,
            Self::Arrow(to) => to.get_ref().written,
        }
    }

    /// Completes the file; returns it with its length and the CRC-32 of its bytes.
    pub(super) fn finish(self) -> Result<(W, u64, u32), WriteError> {
        let mut counted = match self {
            Self::Lines { lines, mut to, .. } => {
                to.write_all(&lines)?;
                match *to {
                    Compressor::None(file) => file,
                    Compressor::Gzip(to) => to.finish()?,
                    Compressor::Zstd(to) => to.finish()?,
                }
            }
            Self::Parquet(to) => to.into_inner()?,
            Self::Arrow(mut to) => {
                to.finish()?;
                to.into_inner()?
            }
        };
        counted.flush()?;
        let file = counted.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok((file, counted.written, counted.checksum.finalize()))
    }
}

/// Lines on their way to the file.
pub(super) enum Compressor<W: Write> {
    None(Counted<W>),
    Gzip(GzEncoder<Counted<W>>),
    Zstd(zstd::Encoder<'static, Counted<W>>),
}

impl<W: Write> Compressor<W> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::None(to) => to.write_all(bytes),
            Self::Gzip(to) => to.write_all(bytes),
            Self::Zstd(to) => to.write_all(bytes),
        }
    }

    fn written(&self) -> u64 {
        match self {
            Self::None(to) => to.written,
            Self::Gzip(to) => to.get_ref().written,
            Self::Zstd(to) => to.get_ref().written,
        }
    }
}

/// A file that knows its length and its checksum.
pub(super) struct Counted<W: Write> {
    file: BufWriter<W>,
    written: u64,
    checksum: crc32fast::Hasher,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.written += count as u64;
        self.checksum.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
