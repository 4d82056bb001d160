//! Why a file could not be read.

/// Why a file could not be read. The service says it in words, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// A format that is not read.
    #[error("the file is {0}, which is not read")]
    Unsupported(&'static str),
    /// A password stands before it.
    #[error("the file is protected by a password")]
    Encrypted,
    /// Not what it seems to be, or damaged.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// It unpacks to more than this many bytes.
    #[error("the file unpacks to more than {0} bytes")]
    TooLarge(u64),
    /// More rows or columns than are read.
    #[error("the sheet has more than {limit} {what}")]
    TooMany {
        /// rows, columns.
        what: &'static str,
        /// How many are read.
        limit: usize,
    },
    /// Bytes of no known encoding.
    #[error("the text is neither UTF-8 nor GB18030 nor UTF-16 (row {row})")]
    Encoding {
        /// The row of the first byte that is none.
        row: u32,
    },
    /// No such sheet.
    #[error("there is no sheet “{0}”")]
    NoSheet(String),
}

impl SheetError {
    pub(crate) fn damaged(error: &dyn std::fmt::Display) -> Self {
        Self::Damaged(error.to_string())
    }
}
