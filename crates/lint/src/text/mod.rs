//! From bytes to text that the C++ grammar can read: tokens, preprocessor groups, blanked macros, chunks.

pub(crate) mod chunk;
pub(crate) mod lexer;
pub(crate) mod mask;
pub(crate) mod preproc;
