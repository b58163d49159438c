//! Writing JSON: straight into one string, in the order in which it is said.

use contract::RawJson;
use contract::text::Extras;

/// Writes an object.
pub fn object(write: impl FnOnce(&mut ObjectWriter<'_>)) -> String {
    let mut out = String::with_capacity(512);
    put_object(&mut out, write);
    out
}

/// Writes an array.
pub fn array(write: impl FnOnce(&mut ArrayWriter<'_>)) -> String {
    let mut out = String::with_capacity(512);
    put_array(&mut out, write);
    out
}

/// Writes a string with its quotes.
pub fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_string(&mut out, text);
    out
}

/// Appends a string with its quotes. U+2028 and U+2029 are left as they are:
/// JSON allows them, and SSE lines end at CR and LF only.
pub fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[from..at]);
        from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => out.push_str(&format!("\\u{byte:04x}")),
        }
    }
    out.push_str(&text[from..]);
    out.push('"');
}

fn put_object(out: &mut String, write: impl FnOnce(&mut ObjectWriter<'_>)) {
    out.push('{');
    write(&mut ObjectWriter { out, first: true });
    out.push('}');
}

fn put_array(out: &mut String, write: impl FnOnce(&mut ArrayWriter<'_>)) {
    out.push('[');
    write(&mut ArrayWriter { out, first: true });
    out.push(']');
}

fn put_number(out: &mut String, number: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// A finite number in its shortest form; whole ones without a fraction.
fn put_float(out: &mut String, number: f64) {
    if number.is_finite() {
        out.push_str(&number.to_string());
    } else {
        out.push_str("null");
    }
}

/// Writes the members of an object.
pub struct ObjectWriter<'w> {
    out: &'w mut String,
    first: bool,
}

impl ObjectWriter<'_> {
    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
        push_string(self.out, key);
        self.out.push(':');
    }

    /// A string member.
    pub fn str(&mut self, key: &str, value: &str) {
        self.key(key);
        push_string(self.out, value);
    }

    /// A string member if there is one.
    pub fn opt_str(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.str(key, value);
        }
    }

    /// A string member, or `null`.
    pub fn str_or_null(&mut self, key: &str, value: Option<&str>) {
        match value {
            Some(value) => self.str(key, value),
            None => self.null(key),
        }
    }

    /// A whole number.
    pub fn int(&mut self, key: &str, value: impl itoa::Integer) {
        self.key(key);
        put_number(self.out, value);
    }

    /// A whole number if there is one.
    pub fn opt_int(&mut self, key: &str, value: Option<impl itoa::Integer>) {
        if let Some(value) = value {
            self.int(key, value);
        }
    }

    /// A number.
    pub fn float(&mut self, key: &str, value: f64) {
        self.key(key);
        put_float(self.out, value);
    }

    /// A number if there is one.
    pub fn opt_float(&mut self, key: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.float(key, value);
        }
    }

    /// A boolean.
    pub fn bool(&mut self, key: &str, value: bool) {
        self.key(key);
        self.out.push_str(if value { "true" } else { "false" });
    }

    /// A boolean if there is one.
    pub fn opt_bool(&mut self, key: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.bool(key, value);
        }
    }

    /// `null`.
    pub fn null(&mut self, key: &str) {
        self.key(key);
        self.out.push_str("null");
    }

    /// Text that is already JSON.
    pub fn raw(&mut self, key: &str, value: &str) {
        self.key(key);
        self.out.push_str(value);
    }

    /// Text that is already JSON, if there is some.
    pub fn opt_raw(&mut self, key: &str, value: Option<&RawJson>) {
        if let Some(value) = value {
            self.raw(key, value.as_str());
        }
    }

    /// An object member.
    pub fn object(&mut self, key: &str, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        self.key(key);
        put_object(self.out, write);
    }

    /// An array member.
    pub fn array(&mut self, key: &str, write: impl FnOnce(&mut ArrayWriter<'_>)) {
        self.key(key);
        put_array(self.out, write);
    }

    /// An array of strings.
    pub fn strs<S: AsRef<str>>(&mut self, key: &str, values: &[S]) {
        self.array(key, |array| {
            for value in values {
                array.str(value.as_ref());
            }
        });
    }

    /// Fields that ride along as they came.
    pub fn extras(&mut self, extras: &Extras) {
        for (key, value) in &extras.fields {
            self.raw(key, value.as_str());
        }
    }
}

/// Writes the items of an array.
pub struct ArrayWriter<'w> {
    out: &'w mut String,
    first: bool,
}

impl ArrayWriter<'_> {
    fn item(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
    }

    /// A string.
    pub fn str(&mut self, value: &str) {
        self.item();
        push_string(self.out, value);
    }

    /// A whole number.
    pub fn int(&mut self, value: impl itoa::Integer) {
        self.item();
        put_number(self.out, value);
    }

    /// A number.
    pub fn float(&mut self, value: f64) {
        self.item();
        put_float(self.out, value);
    }

    /// A 32-bit number in its shortest form that reads back as the same.
    pub fn float32(&mut self, value: f32) {
        self.item();
        if value.is_finite() {
            self.out.push_str(&value.to_string());
        } else {
            self.out.push_str("null");
        }
    }

    /// Text that is already JSON.
    pub fn raw(&mut self, value: &str) {
        self.item();
        self.out.push_str(value);
    }

    /// An object.
    pub fn object(&mut self, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        self.item();
        put_object(self.out, write);
    }

    /// An array.
    pub fn array(&mut self, write: impl FnOnce(&mut ArrayWriter<'_>)) {
        self.item();
        put_array(self.out, write);
    }
}
