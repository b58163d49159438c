//! Text that is already JSON. Kept as text so that key order, number spelling
//! and white space survive a translation byte for byte.

/// One JSON value as text. The maker vouches that it is well-formed: it comes
/// from a scanned document or from a JSON writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawJson(Box<str>);

impl RawJson {
    /// Wraps text that is known to be one well-formed JSON value.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Fields that a reader did not understand, tagged by the dialect they came
/// in, so that a writer of the same dialect puts them back and any other
/// writer declares them lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Name and value, in the order of the document.
    pub fields: Vec<(String, RawJson)>,
}
