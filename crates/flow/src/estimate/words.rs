//! Tokens of a text, counted by its words: letters, digits, signs and spaces
//! in the pieces that public tokenizers cut them into before they look into
//! their vocabularies, each at what such a piece costs on average.
//!
//! Fitted to two public vocabularies (cl100k and o200k) on the texts
//! in `labelled.json`; how far it is off there, its tests say.

/// What things cost, in hundredths of a token.
const TOKEN: u64 = 100;
/// Letters of a word that is one token, and what each further one costs.
const WORD_LETTERS: u64 = 5;
const LETTER_BEYOND: u64 = 17;
/// A letter in a word of capitals, and of capitals and small ones mixed.
const CAPITAL: u64 = 27;
const MIXED: u64 = 45;
/// A letter of a word with accents, and what each accent adds.
const BESIDE_ACCENT: u64 = 27;
const ACCENT: u64 = 55;
/// Digits of one token.
const DIGITS: u64 = 3;
/// Signs of one token: of any, and of one that repeats.
const SIGNS: u64 = 3;
const SAME_SIGNS: u64 = 16;
/// One sign alone; some join the word behind them.
const SIGN: u64 = 90;

/// What a character is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// A letter of ASCII.
    Letter,
    /// A letter of an extended Latin alphabet.
    Accented,
    Digit,
    Line,
    Space,
    Sign,
    /// Another script, with what a character of it costs.
    Other(u64),
}

impl Class {
    fn of(character: char) -> Self {
        match character {
            'a'..='z' | 'A'..='Z' => Self::Letter,
            '0'..='9' => Self::Digit,
            '\n' | '\r' => Self::Line,
            ' ' | '\t' => Self::Space,
            '\0'..='\x7f' => Self::Sign,
            '\u{80}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Self::Accented,
            // Greek; Cyrillic; Hebrew and Arabic.
            '\u{370}'..='\u{3ff}' => Self::Other(50),
            '\u{400}'..='\u{52f}' => Self::Other(40),
            '\u{590}'..='\u{8ff}' => Self::Other(60),
            // Scripts of India and South-East Asia.
            '\u{900}'..='\u{10ff}' => Self::Other(75),
            // Kana; Hangul; Han.
            '\u{1100}'..='\u{11ff}' | '\u{3040}'..='\u{33ff}' => Self::Other(100),
            '\u{ac00}'..='\u{d7af}' => Self::Other(100),
            '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{31fff}' => {
                Self::Other(105)
            }
            // Emoji, and what else there is.
            _ => Self::Other(180),
        }
    }

    fn is_word(self) -> bool {
        matches!(self, Self::Letter | Self::Accented)
    }
}

/// Tokens of a text.
pub(super) fn tokens(text: &str) -> u64 {
    let mut rest = Rest {
        text,
        after_signs: false,
    };
    let mut hundredths = 0;
    while let Some(first) = rest.text.chars().next() {
        hundredths += rest.piece(first);
    }
    hundredths.div_ceil(TOKEN)
}

/// What is still to be counted.
struct Rest<'a> {
    text: &'a str,
    /// Signs stood before: a line that ends behind them costs nothing.
    after_signs: bool,
}

impl<'a> Rest<'a> {
    fn piece(&mut self, first: char) -> u64 {
        let class = Class::of(first);
        let after_signs = std::mem::replace(&mut self.after_signs, class == Class::Sign);
        match class {
            Class::Letter | Class::Accented => word(self.word()),
            Class::Digit => {
                let digits = self.run(|it| it == Class::Digit);
                TOKEN * (digits.len() as u64).div_ceil(DIGITS)
            }
            Class::Line => {
                let lines = self.run(|it| matches!(it, Class::Line | Class::Space));
                let indent = lines.len() - lines.trim_end_matches([' ', '\t']).len();
                TOKEN * (u64::from(!after_signs) + u64::from(indent > 1))
            }
            Class::Space => {
                let spaces = self.run(|it| it == Class::Space);
                let next = self.text.chars().next().map(Class::of);
                // One space belongs to what stands behind it.
                match spaces.len() > 1 || next == Some(Class::Digit) {
                    true => TOKEN,
                    false => 0,
                }
            }
            Class::Sign => signs(self.run(|it| it == Class::Sign).as_bytes()),
            Class::Other(each) => each * self.run(|it| it == class).chars().count() as u64,
        }
    }

    /// Takes the characters whose class is wanted.
    fn run(&mut self, wanted: impl Fn(Class) -> bool) -> &'a str {
        let end = self.text.find(|it| !wanted(Class::of(it)));
        self.take(end)
    }

    /// Takes a word; a capital behind a small letter begins another one.
    fn word(&mut self) -> &'a str {
        let mut before = ' ';
        let end = self.text.find(|it: char| {
            let begins = it.is_ascii_uppercase() && before.is_ascii_lowercase();
            before = it;
            begins || !Class::of(it).is_word()
        });
        self.take(end)
    }

    fn take(&mut self, end: Option<usize>) -> &'a str {
        let (taken, rest) = self.text.split_at(end.unwrap_or(self.text.len()));
        self.text = rest;
        taken
    }
}

fn word(word: &str) -> u64 {
    let letters = word.chars().count() as u64;
    let accents = word.chars().filter(|it| !it.is_ascii()).count() as u64;
    let capitals = word.bytes().filter(u8::is_ascii_uppercase).count() as u64;
    let cost = if accents > 0 {
        letters * BESIDE_ACCENT + accents * ACCENT
    } else if capitals == letters && letters > 1 {
        letters * CAPITAL
    } else if capitals > 1 {
        letters * MIXED
    } else {
        TOKEN + letters.saturating_sub(WORD_LETTERS) * LETTER_BEYOND
    };
    cost.max(TOKEN)
}

fn signs(signs: &[u8]) -> u64 {
    let count = signs.len() as u64;
    let same = signs.iter().all(|sign| *sign == signs[0]);
    match count {
        1 => SIGN,
        _ if same && count > SIGNS => TOKEN * count.div_ceil(SAME_SIGNS),
        _ => TOKEN * count.div_ceil(SIGNS),
    }
}

#[cfg(test)]
mod tests;
