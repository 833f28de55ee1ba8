//! Types in messages of Arrow and DataFusion, which call them by names of their own.

/// Arrow's names, and what SQL says.
const NAMES: [(&str, &str); 26] = [
    ("Utf8View", "STRING"),
    ("LargeUtf8", "STRING"),
    ("Utf8", "STRING"),
    ("BinaryView", "BYTES"),
    ("LargeBinary", "BYTES"),
    ("Binary", "BYTES"),
    ("Boolean", "BOOLEAN"),
    ("Int8", "TINYINT"),
    ("Int16", "SMALLINT"),
    ("Int32", "INT"),
    ("Int64", "BIGINT"),
    ("UInt8", "TINYINT UNSIGNED"),
    ("UInt16", "SMALLINT UNSIGNED"),
    ("UInt32", "INT UNSIGNED"),
    ("UInt64", "BIGINT UNSIGNED"),
    ("Float32", "FLOAT"),
    ("Float64", "DOUBLE"),
    ("Date32", "DATE"),
    ("Time64(ns)", "TIME"),
    ("Time64(Nanosecond)", "TIME"),
    ("Interval(MonthDayNano)", "INTERVAL"),
    ("Interval(mdn)", "INTERVAL"),
    ("Timestamp(s)", "TIMESTAMP(0)"),
    ("Timestamp(ms)", "TIMESTAMP(3)"),
    ("Timestamp(µs)", "TIMESTAMP(6)"),
    ("Timestamp(ns)", "TIMESTAMP(9)"),
];

/// The message with SQL's names for types. What is a part of a longer word, is quoted or has arguments is something else.
pub fn types_in_sql(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(next) = rest.chars().next() {
        let starts = !text.ends_with(|before: char| before.is_alphanumeric() || "_\"'`.$".contains(before));
        let name = NAMES.iter().filter(|_| starts).find_map(|(arrow, sql)| {
            let behind = rest.strip_prefix(arrow)?;
            let ends = !behind.starts_with(|after: char| after.is_alphanumeric() || "_\"'`.$(".contains(after))
                || behind.starts_with(". ");
            ends.then_some((*sql, behind))
        });
        let decimal = rest.strip_prefix("Decimal128(").or_else(|| rest.strip_prefix("Decimal256(")).filter(|_| starts);
        match name.or(decimal.map(|behind| ("DECIMAL(", behind))) {
            Some((sql, behind)) => {
                text.push_str(sql);
                rest = behind;
            }
            None => {
                text.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::types_in_sql as in_sql;

    #[test]
    fn types_are_named_as_in_sql() {
        for (arrow, sql) in [
            ("Cannot coerce Int32 + Utf8View to valid types", "Cannot coerce INT + STRING to valid types"),
            (
                "expected List<UInt8>, got (Timestamp(ms), Date32)",
                "expected List<TINYINT UNSIGNED>, got (TIMESTAMP(3), DATE)",
            ),
            ("to value of Int32 type", "to value of INT type"),
            ("got Int64. Try more", "got BIGINT. Try more"),
            (
                "column \"Int32\" is `Utf8` or 'Binary', t.Int8, MyInt32, Int32x",
                "column \"Int32\" is `Utf8` or 'Binary', t.Int8, MyInt32, Int32x",
            ),
            ("a + Int64(1) is Ü", "a + Int64(1) is Ü"),
        ] {
            assert_eq!(in_sql(arrow), sql);
        }
    }
}
