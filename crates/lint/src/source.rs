//! Source files, byte spans and line numbers.

use std::fmt;

/// A half-open range of bytes in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// A span from `start` up to, not including, `end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end.max(start) as u32 }
    }

    /// The span as a range of `usize`, for slicing.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Whether `other` lies inside this span.
    pub fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// Index of a file in a [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// A place: a file and a span in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file.
    pub file: FileId,
    /// The bytes.
    pub span: Span,
}

impl Place {
    /// A place in `file` at `span`.
    pub fn new(file: FileId, span: Span) -> Self {
        Self { file, span }
    }
}

/// What a file is, told by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// DriverKit interface description, `.iig`.
    Iig,
    /// C++ source, `.cpp` and kin.
    Cpp,
    /// C or C++ header.
    Header,
    /// Property list with personalities, `Info.plist` and kin.
    Plist,
    /// Code-signing entitlements.
    Entitlements,
}

impl FileKind {
    /// The kind that a file name tells, or `None` if the linter does not read such files.
    pub fn of(path: &str) -> Option<Self> {
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        let ext = name.rsplit_once('.').map(|(_, ext)| ext.to_ascii_lowercase())?;
        Some(match ext.as_str() {
            "iig" => Self::Iig,
            "cpp" | "cc" | "cxx" | "c++" | "mm" | "c" => Self::Cpp,
            "h" | "hpp" | "hh" | "hxx" | "inl" | "ipp" => Self::Header,
            "plist" => Self::Plist,
            "entitlements" => Self::Entitlements,
            _ => return None,
        })
    }

    /// Whether the file is read as C++.
    pub fn is_code(self) -> bool {
        matches!(self, Self::Iig | Self::Cpp | Self::Header)
    }
}

/// One file in memory.
pub struct SourceFile {
    /// The path as given by the user or found in a directory.
    pub path: String,
    /// The contents; bytes that are not UTF-8 were replaced one by one, so offsets hold.
    pub text: String,
    /// What the file is.
    pub kind: FileKind,
    /// The text differs from the bytes on disk, so the file must not be written back.
    pub altered: bool,
    line_starts: Vec<u32>,
}

impl SourceFile {
    /// A file with its contents.
    pub fn new(path: String, text: String, kind: FileKind) -> Self {
        let mut line_starts = vec![0];
        line_starts.extend(
            text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i as u32 + 1),
        );
        Self { path, text, kind, altered: false, line_starts }
    }

    /// Line and column of a byte offset, both counted from 1.
    pub fn line_column(&self, offset: u32) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= offset).max(1);
        (line, (offset - self.line_starts[line - 1].min(offset)) as usize + 1)
    }

    /// The span of a line, counted from 1, without its newline.
    pub fn line_span(&self, line: usize) -> Span {
        let start = self.line_starts.get(line - 1).map_or(self.text.len(), |s| *s as usize);
        let end = self.line_starts.get(line).map_or(self.text.len(), |s| *s as usize - 1);
        Span::new(start, end)
    }

    /// Number of lines.
    pub fn line_count(&self) -> usize {
        self.line_starts.len()
    }

    /// The text of a span.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or("")
    }
}

/// All files of one run.
#[derive(Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

impl Sources {
    /// Adds a file and returns its index.
    pub fn add(&mut self, file: SourceFile) -> FileId {
        self.files.push(file);
        FileId(self.files.len() as u32 - 1)
    }

    /// The file of an index handed out by [`Sources::add`].
    pub fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id.0 as usize]
    }

    /// All files with their indices.
    pub fn iter(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        self.files.iter().enumerate().map(|(i, f)| (FileId(i as u32), f))
    }

    /// The text at a place.
    pub fn slice(&self, place: Place) -> &str {
        self.file(place.file).slice(place.span)
    }
}

/// Something that was not read, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: String,
    /// The line, counted from 1, if a part of the file was skipped.
    pub line: Option<usize>,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.reason),
            None => write!(f, "{}: {}", self.path, self.reason),
        }
    }
}
