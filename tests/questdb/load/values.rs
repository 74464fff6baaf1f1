//! The types of QuestDB: a random value of each, and what a column may be turned into.

/// Every type that a column can have, as in CREATE TABLE. The first is the designated timestamp's.
pub(crate) const EVERY_TYPE: &[&str] = &[
    "BOOLEAN",
    "BYTE",
    "SHORT",
    "CHAR",
    "INT",
    "LONG",
    "DATE",
    "TIMESTAMP",
    "TIMESTAMP_NS",
    "FLOAT",
    "DOUBLE",
    "STRING",
    "VARCHAR",
    "SYMBOL",
    "UUID",
    "IPV4",
    "LONG256",
    "GEOHASH(4b)",
    "GEOHASH(2c)",
    "GEOHASH(5c)",
    "GEOHASH(10c)",
    "BINARY",
    "DOUBLE[]",
    "DOUBLE[][]",
    "DECIMAL(2,1)",
    "DECIMAL(4,2)",
    "DECIMAL(9,3)",
    "DECIMAL(18,6)",
    "DECIMAL(38,10)",
    "DECIMAL(76,20)",
];

/// An expression whose value is a random one of this type, null now and then.
pub(crate) fn random(kind: &str) -> String {
    let fixed = match kind {
        "BOOLEAN" => "rnd_boolean()",
        "BYTE" => "rnd_byte()",
        "SHORT" => "rnd_short()",
        "CHAR" => "rnd_char()",
        "INT" => "rnd_int(-1000, 1000, 5)",
        "LONG" => "rnd_long(-100000, 100000, 5)",
        "DATE" => "rnd_date(to_date('2020', 'yyyy'), to_date('2021', 'yyyy'), 5)",
        "TIMESTAMP" => {
            "rnd_timestamp(to_timestamp('2020', 'yyyy'), to_timestamp('2021', 'yyyy'), 5)"
        }
        "TIMESTAMP_NS" => "cast(rnd_long(0, 1700000000000000000, 5) as timestamp_ns)",
        "FLOAT" => "rnd_float(5)",
        "DOUBLE" => "rnd_double(5)",
        "STRING" => "rnd_str(1, 20, 5)",
        "VARCHAR" => "rnd_varchar(1, 40, 5)",
        "SYMBOL" => "rnd_symbol(12, 1, 4, 3)",
        "UUID" => "rnd_uuid4()",
        "IPv4" | "IPV4" => "rnd_ipv4('10.0.0.0/8', 5)",
        "LONG256" => "rnd_long256()",
        "BINARY" => "rnd_bin(1, 300, 5)",
        "DOUBLE[]" => "rnd_double_array(1, 5)",
        "DOUBLE[][]" => "rnd_double_array(2, 5)",
        _ => "",
    };
    if !fixed.is_empty() {
        return fixed.to_owned();
    }
    let (name, rest) = kind.split_once('(').unwrap_or((kind, ""));
    let size = rest.trim_end_matches(')');
    match name {
        "DECIMAL" => format!("rnd_decimal({size}, 5)"),
        "GEOHASH" => {
            let (digits, unit) = size.split_at(size.len().saturating_sub(1));
            let digits: u32 = digits.parse().expect("a geohash has a size");
            format!("rnd_geohash({})", if unit == "c" { digits * 5 } else { digits })
        }
        _ => "null".to_owned(),
    }
}

/// What a column of this type may be turned into. Never STRING to VARCHAR or back: mixed with an
/// UPDATE that makes the column unreadable, on a server that never heard of walfs.
pub(crate) fn retypes(kind: &str) -> &'static [&'static str] {
    match kind {
        "BYTE" => &["SHORT", "INT"],
        "SHORT" => &["INT", "LONG"],
        "INT" => &["LONG", "DOUBLE", "VARCHAR"],
        "LONG" => &["DOUBLE", "STRING"],
        "FLOAT" => &["DOUBLE"],
        "SYMBOL" | "UUID" | "IPv4" => &["VARCHAR"],
        "VARCHAR" => &["SYMBOL"],
        "BOOLEAN" => &["INT"],
        "DATE" => &["TIMESTAMP"],
        _ => &[],
    }
}
