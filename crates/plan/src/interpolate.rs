//! References in a text: `${env:NAME}`, `${env:NAME:-default}` and
//! `${file:path}`. `$${` stands for `${` itself.
//!
//! Pure: variables and files come in through [`Sources`]. Only parsed scalars
//! are interpolated, so what a variable holds can never become structure.

/// Where variables and files come from.
pub trait Sources {
    /// The environment variable of this name, if it is set.
    fn env(&self, name: &str) -> Option<String>;

    /// The text of a file. Relative paths start at the configuration's folder.
    ///
    /// # Errors
    /// Why it cannot be read, in a few words.
    fn file(&self, path: &str) -> Result<String, String>;
}

/// A text after interpolation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Filled {
    pub(crate) text: String,
    /// The references, with what was written around them masked; `None` if
    /// there were none.
    pub(crate) written: Option<String>,
}

/// What is wrong with a reference: what, and what to do instead.
pub(crate) type Wrong = (String, String);

/// Replaces all references of a text.
pub(crate) fn fill(text: &str, sources: &dyn Sources) -> Result<Filled, Wrong> {
    let mut filled = String::new();
    let mut written = String::new();
    let (mut rest, mut found) = (text, false);
    while let Some(at) = rest.find("${") {
        let (before, tail) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            literal(before, &mut filled, &mut written);
            literal("${", &mut filled, &mut written);
            rest = &tail[2..];
            continue;
        }
        literal(before, &mut filled, &mut written);
        let Some(end) = tail.find('}') else {
            return Err((
                "a reference is not closed".to_owned(),
                "write `${env:NAME}` or `${file:path}`; for the characters `${` themselves write \
                 `$${`"
                    .to_owned(),
            ));
        };
        filled.push_str(&resolve(&tail[2..end], sources)?);
        let (reference, _) = tail[2..end].split_once(":-").unwrap_or((&tail[2..end], ""));
        written.push_str(&format!("${{{reference}}}"));
        found = true;
        rest = &tail[end + 1..];
    }
    literal(rest, &mut filled, &mut written);
    Ok(Filled {
        text: filled,
        written: found.then_some(written),
    })
}

fn literal(text: &str, filled: &mut String, written: &mut String) {
    filled.push_str(text);
    if !text.is_empty() && !written.ends_with("***") {
        written.push_str("***");
    }
}

fn resolve(reference: &str, sources: &dyn Sources) -> Result<String, Wrong> {
    match reference.split_once(':') {
        Some(("env", name)) => variable(name, sources),
        Some(("file", path)) => file(path, sources),
        _ => Err((
            "this reference names no source".to_owned(),
            "write `${env:NAME}` for a variable or `${file:path}` for a file; for the characters \
             `${` themselves write `$${`"
                .to_owned(),
        )),
    }
}

fn variable(text: &str, sources: &dyn Sources) -> Result<String, Wrong> {
    let (name, default) = match text.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (text, None),
    };
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(is_word) {
        return Err((
            "this is not the name of an environment variable".to_owned(),
            "names have letters, digits and `_`: `${env:NAME}` or `${env:NAME:-default}`"
                .to_owned(),
        ));
    }
    // As in a shell, `:-` also replaces a variable that is set but empty.
    let value = sources.env(name);
    match (value, default) {
        (Some(value), _) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (Some(value), None) => Ok(value),
        (None, None) => Err((
            format!("the environment variable `{name}` is not set"),
            format!("set it, or give a default: `${{env:{name}:-default}}`"),
        )),
    }
}

/// A file's text, without the newline that editors and `echo` put at its end.
fn file(path: &str, sources: &dyn Sources) -> Result<String, Wrong> {
    let mut text = sources.file(path).map_err(|why| {
        (
            format!("the file `{path}` cannot be read: {why}"),
            "check the path, which starts at the folder of this configuration, and that the \
             gateway's user may read it"
                .to_owned(),
        )
    })?;
    let kept = text.trim_end_matches(['\n', '\r']).len();
    text.truncate(kept);
    Ok(text)
}
