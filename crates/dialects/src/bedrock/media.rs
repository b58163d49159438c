//! Words for the formats of images, documents and sound.

/// A format word and the mime type it stands for.
type Format = (&'static str, &'static str);

const IMAGES: [Format; 4] = [
    ("png", "image/png"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
];

const DOCUMENTS: [Format; 9] = [
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    ("xls", "application/vnd.ms-excel"),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    ("html", "text/html"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
];

const SOUNDS: [Format; 15] = [
    ("mp3", "audio/mp3"),
    ("wav", "audio/wav"),
    ("flac", "audio/flac"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/opus"),
    ("aac", "audio/aac"),
    ("x-aac", "audio/x-aac"),
    ("m4a", "audio/m4a"),
    ("mp4", "audio/mp4"),
    ("mpeg", "audio/mpeg"),
    ("mpga", "audio/mpga"),
    ("webm", "audio/webm"),
    ("pcm", "audio/pcm"),
    ("mkv", "audio/x-matroska"),
    ("mka", "audio/mka"),
];

/// What kind of thing a format is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    Image,
    Document,
    Sound,
}

impl Medium {
    fn formats(self) -> &'static [Format] {
        match self {
            Self::Image => &IMAGES,
            Self::Document => &DOCUMENTS,
            Self::Sound => &SOUNDS,
        }
    }

    /// The format word of a mime type; `None` if the vendor has none.
    pub(super) fn word(self, mime: &str) -> Option<&'static str> {
        let plain = mime.split(';').next().unwrap_or(mime).trim();
        let plain = match plain {
            "image/jpg" => "image/jpeg",
            "audio/x-wav" | "audio/wave" => "audio/wav",
            other => other,
        };
        let found = self.formats().iter().find(|(_, known)| *known == plain);
        found.map(|(word, _)| *word)
    }

    /// The mime type of a format word; newer words than ours keep theirs.
    pub(super) fn mime(self, word: &str) -> String {
        let found = self.formats().iter().find(|(known, _)| *known == word);
        match (found, self) {
            (Some((_, mime)), _) => (*mime).to_owned(),
            (None, Self::Image) => format!("image/{word}"),
            (None, Self::Document) => format!("application/{word}"),
            (None, Self::Sound) => format!("audio/{word}"),
        }
    }
}

/// Longest name of a document, in characters.
const NAME_CHARS_MAX: usize = 200;

/// A document name as the vendor takes it: letters, digits, hyphens,
/// brackets, and single spaces.
pub(super) fn document_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars().take(NAME_CHARS_MAX) {
        let c = match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '(' | ')' | '[' | ']' => c,
            c if c.is_whitespace() => ' ',
            _ => '-',
        };
        if c != ' ' || !out.ends_with(' ') {
            out.push(c);
        }
    }
    let trimmed = out.trim();
    if trimmed.is_empty() {
        "document".to_owned()
    } else {
        trimmed.to_owned()
    }
}
