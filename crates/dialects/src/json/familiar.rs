//! Recognising a document that differs from one scanned before in the text of
//! one string only, as the deltas of a stream do. All that a scan would say of
//! it is then known, once that string is checked by the same rules.
//!
//! Deliberately not here: which string it is, and what the document means.

use std::ops::Range;

use super::scan::is_string_text;

/// How often in a row a document may be learned in vain. Streams whose events
/// differ in more than one place are then no longer tried.
const VAIN_MAX: u8 = 8;

/// A document that was scanned, around the text of one of its strings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Familiar {
    /// All up to and with the opening quote; empty if nothing was learned.
    before: Vec<u8>,
    /// All from the closing quote on.
    after: Vec<u8>,
    /// Documents learned since one was recognised.
    vain: u8,
}

impl Familiar {
    /// Whether `text` is the learned document but for the text of its string:
    /// then it is as valid, and has the same values everywhere else.
    pub(crate) fn is(&mut self, text: &[u8]) -> bool {
        let middle = text
            .strip_prefix(self.before.as_slice())
            .and_then(|rest| rest.strip_suffix(self.after.as_slice()));
        let is = !self.before.is_empty() && middle.is_some_and(is_string_text);
        if is {
            self.vain = 0;
        }
        is
    }

    /// Bytes of the text of that string, in a document that was recognised.
    pub(crate) fn text_bytes(&self, text: &[u8]) -> usize {
        text.len()
            .saturating_sub(self.before.len() + self.after.len())
    }

    /// Learns a document that was scanned; `string` is where one of its
    /// strings stands, quotes included.
    pub(crate) fn learn(&mut self, text: &[u8], string: Range<usize>) {
        if self.vain < VAIN_MAX {
            self.vain += 1;
            self.before.clear();
            self.before.extend_from_slice(&text[..string.start + 1]);
            self.after.clear();
            self.after.extend_from_slice(&text[string.end - 1..]);
        }
    }

    /// Forgets what was learned.
    pub(crate) fn forget(&mut self) {
        self.before.clear();
    }
}

#[cfg(test)]
mod tests {
    //! What is recognised is what the scan accepts, and nothing else.

    use super::*;
    use crate::json::{Rules, Tape};

    const LEARNED: &str = r#"{"id":"x","delta":{"content":"abc"},"n":[1,null]}"#;

    fn learned() -> Familiar {
        let mut familiar = Familiar::default();
        let at = LEARNED.find("\"abc\"").expect("it is there");
        familiar.learn(LEARNED.as_bytes(), at..at + 5);
        familiar
    }

    #[test]
    fn a_document_is_recognised_exactly_if_the_scan_accepts_it() {
        let texts: [&[u8]; 16] = [
            b"",
            b"plain",
            "\u{fc}ber \u{1f980}".as_bytes(),
            br#"\n\t\"quoted\"\\"#,
            br"\u00fc",
            br"\ud83e\udd80",
            br"\ud83e",
            br"\udd80 alone",
            br"\u12",
            br"\x",
            br"ends with \",
            br#"a","b":"c"#,
            br#"""#,
            b"line\nbreak",
            b"nul\0",
            b"\xff\xfe",
        ];
        for text in texts {
            let document = [&LEARNED.as_bytes()[..30], text, &LEARNED.as_bytes()[33..]].concat();
            let scanned = Tape::scan(&document, &Rules::ANSWER).is_ok();
            let is = learned().is(&document);
            let one_string = !text.starts_with(br#"a","#);
            assert_eq!(is, scanned && one_string, "{text:?}");
        }
    }

    #[test]
    fn other_documents_are_not() {
        let mut familiar = learned();
        assert!(familiar.is(LEARNED.as_bytes()));
        assert_eq!(familiar.text_bytes(LEARNED.as_bytes()), 3);
        assert!(!familiar.is(LEARNED.replace("null", "true").as_bytes()));
        assert!(!familiar.is(LEARNED.replace("\"x\"", "\"y\"").as_bytes()));
        assert!(!familiar.is(&LEARNED.as_bytes()[..31]));
        assert!(!familiar.is(b""));
        familiar.forget();
        assert!(!familiar.is(LEARNED.as_bytes()));
        assert!(!Familiar::default().is(b""));
    }
}
