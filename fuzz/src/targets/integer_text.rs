//! Reading an integer and writing it again: the promise is that what was read is written back
//! with the same value. It also shows the shape of a target: read, and check a property of what
//! was read, never only that nothing panics.

/// Any text that reads as an integer survives the way out and back in.
pub(super) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(number) = text.parse::<i64>() else {
        return;
    };
    assert_eq!(
        number.to_string().parse(),
        Ok(number),
        "{text:?} does not survive"
    );
}
