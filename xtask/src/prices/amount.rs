//! Decimal numbers, exactly: nano-dollars from texts such as `1.25e-7`.

/// A decimal number times ten to the power of `places`, rounded to a whole
/// number. Sources compute with floats, so that `6.0000000000000003e-07`
/// dollars a token stand for 0.6 dollars a million.
pub(super) fn scaled(text: &str, places: i32) -> Option<u64> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: u128 = format!("{whole}{part}").parse().ok()?;
    let shift = exponent + places - i32::try_from(part.len()).ok()?;
    let power = 10_u128.checked_pow(shift.unsigned_abs())?;
    let amount = if shift >= 0 {
        digits.checked_mul(power)?
    } else {
        (digits + power / 2) / power
    };
    u64::try_from(amount).ok()
}

/// Nano-dollars as dollars, with no more digits than needed.
pub(super) fn dollars(nanos: u64) -> String {
    let (whole, part) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    if part == 0 {
        return whole.to_string();
    }
    let part = format!("{part:09}");
    format!("{whole}.{}", part.trim_end_matches('0'))
}
