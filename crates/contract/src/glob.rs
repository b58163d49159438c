//! Name patterns with `*` (any characters, also none). Nothing else is
//! special, so a model name with brackets or dots needs no escaping.

/// Whether `name` matches `pattern`.
pub fn matches(pattern: &str, name: &str) -> bool {
    // Nearly all patterns are a name or a prefix.
    match pattern.bytes().position(|byte| byte == b'*') {
        None => return pattern == name,
        Some(at) if at + 1 == pattern.len() => return name.starts_with(&pattern[..at]),
        Some(_) => {}
    }
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// Whether a pattern stands for one name only: itself.
pub fn is_name(pattern: &str) -> bool {
    !pattern.contains('*')
}

#[cfg(test)]
mod tests {
    //! Cases: pattern, name, whether they match.

    #[test]
    fn patterns() {
        let cases = [
            ("*", "", true),
            ("*", "x", true),
            ("", "", true),
            ("", "x", false),
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*b", "ab", true),
            ("a*b", "axxb", true),
            ("a*b", "axxc", false),
            ("a*a", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("**", "x", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(
                super::matches(pattern, name),
                expected,
                "{pattern} ~ {name}"
            );
        }
    }

    #[test]
    fn names() {
        assert!(super::is_name("a.b[c]") && !super::is_name("a*") && !super::is_name("*"));
    }
}
