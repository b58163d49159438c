//! The page on metadata holds the tables of the code.

#[path = "../../gate/tests/page/mod.rs"]
mod page;

use tollgate_access::metadata::{
    Field, Merge, Settings, Shape, TAGS_MAX, TEXT_BYTES_MAX, VERSIONS,
};

const PAGE: &str = "docs/metadata.md";

fn words<T: AsRef<str>>(words: &[T]) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("`{}`", word.as_ref()))
        .collect();
    words.join(", ")
}

fn values(field: Field) -> String {
    match field.shape() {
        Shape::Text => format!("text of up to {TEXT_BYTES_MAX} bytes"),
        Shape::Words(all) => words(all),
        Shape::DataClass => {
            let classes = words(&Settings::default().data_classes);
            format!("{classes}, or as configured")
        }
        Shape::Whole(max) => format!("1 to {max}"),
        Shape::Dollars => "US dollars, such as `0.05`".to_owned(),
        Shape::Date => words(&VERSIONS.map(|version| version.date)),
        Shape::Tags => {
            format!("`key=value,key=value`, up to {TAGS_MAX}; in the body also an object")
        }
    }
}

/// One test, because each table is written into the same page.
#[test]
fn fields_and_versions_are_in_the_book() {
    page::hold(PAGE, "fields", &fields());
    page::hold(PAGE, "versions", &versions());
}

fn fields() -> String {
    let mut table = String::from(
        "| header | in the body | says | values | if told twice |\n|---|---|---|---|---|\n",
    );
    for field in Field::ALL {
        let names = [Some(field.name()), field.alias()];
        let names: Vec<&str> = names.into_iter().flatten().collect();
        let merge = match field.merge() {
            Merge::Equal => "must be equal",
            Merge::Smallest => "the smallest counts",
            Merge::Strictest => "the strictest counts",
        };
        table.push_str(&format!(
            "| `tollgate-{}` | {} | {} | {} | {merge} |\n",
            field.name().replace('_', "-"),
            words(&names),
            field.doc(),
            values(field),
        ));
    }
    table
}

fn versions() -> String {
    let mut table = String::from("| version | says | for |\n|---|---|---|\n");
    for version in VERSIONS.iter().skip(1) {
        for (told, meant) in version.differences() {
            table.push_str(&format!("| {} | {told} | {meant} |\n", version.date));
        }
    }
    table
}
