//! Name patterns with `*` (any characters, also none). Nothing else is
//! special, so a model name with brackets or dots needs no escaping.

/// Whether `name` matches `pattern`.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, mut name) = (pattern.as_bytes(), name.as_bytes());
    let Some(first) = star(pattern) else {
        return pattern == name;
    };
    // What is before the first star and behind the last one stands at its
    // place. Nearly all patterns have one star, and are done with that.
    let last = pattern.iter().rposition(|byte| *byte == b'*');
    let last = last.unwrap_or(first);
    let (head, tail) = (&pattern[..first], &pattern[last + 1..]);
    if name.len() < head.len() + tail.len() || !name.starts_with(head) || !name.ends_with(tail) {
        return false;
    }
    name = &name[head.len()..name.len() - tail.len()];
    // Of what is between, the first place will do: it leaves the most.
    let mut middle = &pattern[first..last];
    while let Some((_, parts)) = middle.split_first() {
        let end = star(parts).unwrap_or(parts.len());
        let part;
        (part, middle) = parts.split_at(end);
        match find(name, part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// Where the first star is.
fn star(pattern: &[u8]) -> Option<usize> {
    pattern.iter().position(|byte| *byte == b'*')
}

/// Where the first `part` begins.
fn find(name: &[u8], part: &[u8]) -> Option<usize> {
    match part.is_empty() {
        true => Some(0),
        false => name.windows(part.len()).position(|it| it == part),
    }
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
            ("**", "", true),
            ("*b*", "abc", true),
            ("*b*", "ac", false),
            ("ab*ba", "aba", false),
            ("a*ab*b", "aab", false),
            ("a*ab*b", "aabab", true),
            ("*ö*", "böse", true),
            ("ä*ö", "äö", true),
            ("a*", "A", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(
                super::matches(pattern, name),
                expected,
                "{pattern} ~ {name}"
            );
        }
    }

    /// The same by its definition: a star is nothing, or one byte and a star.
    fn plainly(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            ([b'*', rest @ ..], []) => plainly(rest, &[]),
            ([b'*', rest @ ..], [_, more @ ..]) => plainly(rest, name) || plainly(pattern, more),
            ([a, rest @ ..], [b, more @ ..]) => a == b && plainly(rest, more),
            ([], [_, ..]) | ([_, ..], []) => false,
        }
    }

    /// All texts of these characters up to this length.
    fn all(characters: &str, length: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut longest = all.clone();
        for _ in 0..length {
            let longer = |text: &String| {
                let text = text.clone();
                characters.chars().map(move |it| format!("{text}{it}"))
            };
            longest = longest.iter().flat_map(longer).collect();
            all.extend(longest.iter().cloned());
        }
        all
    }

    #[test]
    fn it_is_what_a_plain_matcher_says() {
        let names = all("ab*", 6);
        for pattern in all("ab*", 5) {
            for name in &names {
                assert_eq!(
                    super::matches(&pattern, name),
                    plainly(pattern.as_bytes(), name.as_bytes()),
                    "{pattern} ~ {name}"
                );
            }
        }
    }

    #[test]
    fn names() {
        assert!(super::is_name("a.b[c]") && !super::is_name("a*") && !super::is_name("*"));
    }
}
