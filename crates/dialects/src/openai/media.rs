//! Media as the vendor writes them: `data:` URLs, and audio formats by name.

use contract::chat::Media;

/// A URL as media: the bytes inside a base64 `data:` URL, else the address.
pub(crate) fn read_url(url: &str) -> Media {
    match split_data_url(url) {
        Some((mime, data)) => Media::Base64 {
            mime: mime.to_owned(),
            data: data.to_owned(),
        },
        None => Media::Url {
            url: url.to_owned(),
            mime: None,
        },
    }
}

/// Mime type and base64 text of a `data:` URL.
pub(crate) fn split_data_url(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let mime = head.strip_suffix(";base64")?;
    // Parameters such as a charset say nothing about an image or a document.
    let mime = mime.split(';').next().unwrap_or(mime);
    Some((mime, data))
}

/// A `data:` URL.
pub(crate) fn data_url(mime: &str, data: &str) -> String {
    format!("data:{mime};base64,{data}")
}

/// Data of a file: a `data:` URL, or plain base64 whose type only the file
/// name tells.
pub(crate) fn read_file_data(data: &str, name: Option<&str>) -> Media {
    let (mime, data) = split_data_url(data).unwrap_or_else(|| (mime_of_name(name), data));
    Media::Base64 {
        mime: mime.to_owned(),
        data: data.to_owned(),
    }
}

fn mime_of_name(name: Option<&str>) -> &'static str {
    let extension = name
        .and_then(|name| name.rsplit_once('.'))
        .map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("pdf") => "application/pdf",
        Some("txt") => "text/plain",
        Some("md") => "text/markdown",
        Some("csv") => "text/csv",
        Some("json") => "application/json",
        Some("html") => "text/html",
        Some(_) | None => "application/octet-stream",
    }
}

/// The mime type of an audio format word.
pub(crate) fn audio_mime(format: &str) -> String {
    match format {
        "mp3" => "audio/mpeg".to_owned(),
        "pcm16" => "audio/pcm".to_owned(),
        other => format!("audio/{other}"),
    }
}

/// The audio format word of a mime type.
pub(crate) fn audio_format(mime: &str) -> &str {
    match mime.split(';').next().unwrap_or(mime) {
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "wav",
        other => other.strip_prefix("audio/").unwrap_or(other),
    }
}
