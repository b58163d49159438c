//! A program of the user that prints credentials. Source: AWS SDKs and Tools
//! reference guide, "Process credential provider".

use super::read::{Names, credentials, object};
use crate::lending::{Heard, Program, Source, Step};

const NAMES: Names = Names {
    token: "SessionToken",
    expiration: "Expiration",
};

/// A helper program.
#[derive(Debug)]
pub(crate) struct Helper {
    program: Program,
}

impl Helper {
    /// The program of a command line. It is parted at blanks; double quotes
    /// keep a part together. No shell sees it, so nothing in it is expanded,
    /// as the guide demands.
    pub(crate) fn of(line: &str) -> Result<Self, String> {
        let mut parts: Vec<String> = Vec::new();
        let (mut part, mut is_open, mut quoted) = (String::new(), false, false);
        for c in line.chars() {
            match c {
                '"' => {
                    quoted = !quoted;
                    is_open = true;
                }
                c if c.is_whitespace() && !quoted => {
                    if is_open {
                        parts.push(std::mem::take(&mut part));
                    }
                    is_open = false;
                }
                c => {
                    part.push(c);
                    is_open = true;
                }
            }
        }
        if quoted {
            return Err("a double quote is not closed".to_owned());
        }
        if is_open {
            parts.push(part);
        }
        let mut parts = parts.into_iter();
        let file = parts.next().filter(|file| !file.is_empty());
        Ok(Self {
            program: Program {
                file: file.ok_or("it names no program")?,
                arguments: parts.collect(),
            },
        })
    }
}

impl Source for Helper {
    fn name(&self) -> String {
        // Arguments may hold a secret.
        format!("credential_process {}", self.program.file)
    }

    fn note(&self, note: &mut dyn FnMut(&str)) {
        note("process");
        note(&self.program.file);
        for argument in &self.program.arguments {
            note(argument);
        }
    }

    fn next(&self, heard: &[Heard], _: u64) -> Step {
        let Some(output) = heard.first() else {
            return Step::Run(self.program.clone());
        };
        let read = output.text().and_then(|text| {
            let version = object(text.as_bytes(), |o| {
                Ok(o.get("Version").and_then(|version| version.u64()))
            })?;
            match version {
                Some(1) => credentials(text.as_bytes(), &NAMES),
                Some(_) | None => Err("its output has no `\"Version\": 1`".to_owned()),
            }
        });
        match read {
            Ok(lent) => Step::Done(lent),
            Err(why) => Step::Failed(format!("the program: {why}")),
        }
    }
}
