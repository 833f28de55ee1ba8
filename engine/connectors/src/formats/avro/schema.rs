//! Schemas as JSON says them ([specification](https://avro.apache.org/docs/1.12.0/specification/)).

use std::collections::HashMap;

use serde_json::{Map, Value};

/// What is wrong with a schema.
pub type SchemaError = String;

/// A schema: a type, and the named ones in it.
#[derive(Debug, Clone, PartialEq)]
pub struct AvroSchema {
    pub(crate) root: Type,
    pub(crate) named: Vec<Named>,
}

/// A type of a schema.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Type {
    Null,
    Boolean,
    Int(Logical),
    Long(Logical),
    Float,
    Double,
    Bytes(Logical),
    String,
    Array(Box<Type>),
    Map(Box<Type>),
    Union(Vec<Type>),
    /// One of [`AvroSchema::named`].
    Named(usize),
}

/// A type with a name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Named {
    Record(Vec<(String, Type)>),
    Enum(Vec<String>),
    Fixed(usize, Logical),
    /// One whose definition has begun.
    Open,
}

/// What values of a type mean. One that is not known, or does not fit its type, is none, as the specification says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logical {
    None,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Uuid,
    Date,
    /// Of a day, in so many units a second.
    Time(i64),
    /// Since 1970 in UTC.
    Timestamp(i64),
    /// Since 1970, without a zone.
    LocalTimestamp(i64),
}

/// Types in types; more would be no schema of people.
const DEPTH: usize = 64;

impl AvroSchema {
    /// Reads a schema.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        Self::parse_with([], text)
    }

    /// Reads a schema that refers to types of others, each of which stands behind those that it refers to itself.
    ///
    /// # Errors
    /// What is wrong with it, or with one of them.
    pub fn parse_with<'a>(references: impl IntoIterator<Item = &'a str>, text: &str) -> Result<Self, SchemaError> {
        let mut parser = Parser { named: Vec::new(), names: HashMap::new() };
        for reference in references {
            parser.text(reference).map_err(|error| format!("a schema that it refers to: {error}"))?;
        }
        let root = parser.text(text)?;
        Ok(Self { root, named: parser.named })
    }
}

struct Parser {
    named: Vec<Named>,
    names: HashMap<String, usize>,
}

impl Parser {
    fn text(&mut self, text: &str) -> Result<Type, SchemaError> {
        // A primitive may stand there without quotes' JSON: registries have `"string"` and `{"type": "string"}`.
        let value: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
        self.read(&value, "", 0)
    }

    fn read(&mut self, value: &Value, namespace: &str, depth: usize) -> Result<Type, SchemaError> {
        if depth > DEPTH {
            return Err(format!("it has more than {DEPTH} types in each other"));
        }
        match value {
            Value::String(name) => self.named(name, namespace),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.read(branch, namespace, depth + 1));
                let branches = branches.collect::<Result<Vec<_>, _>>()?;
                match branches.iter().any(|branch| matches!(branch, Type::Union(_))) {
                    true => Err("a union in a union".to_owned()),
                    false => Ok(Type::Union(branches)),
                }
            }
            Value::Object(object) => self.object(object, namespace, depth),
            other => Err(format!("{other} is no type")),
        }
    }

    fn named(&self, name: &str, namespace: &str) -> Result<Type, SchemaError> {
        Ok(match name {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "int" => Type::Int(Logical::None),
            "long" => Type::Long(Logical::None),
            "float" => Type::Float,
            "double" => Type::Double,
            "bytes" => Type::Bytes(Logical::None),
            "string" => Type::String,
            _ => {
                let whole = full_name(name, namespace);
                let found = self.names.get(&whole).or_else(|| self.names.get(name));
                Type::Named(*found.ok_or_else(|| format!("there is no type '{name}'"))?)
            }
        })
    }

    fn object(&mut self, object: &Map<String, Value>, namespace: &str, depth: usize) -> Result<Type, SchemaError> {
        let part = |key: &str| object.get(key).ok_or_else(|| format!("a type without '{key}'"));
        let Value::String(kind) = part("type")? else { return self.read(part("type")?, namespace, depth + 1) };
        Ok(match kind.as_str() {
            "array" => Type::Array(Box::new(self.read(part("items")?, namespace, depth + 1)?)),
            "map" => Type::Map(Box::new(self.read(part("values")?, namespace, depth + 1)?)),
            "record" | "error" | "enum" | "fixed" => {
                let name = part("name")?.as_str().ok_or("a name that is no text")?;
                let namespace = object.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
                let whole = full_name(name, namespace);
                let namespace = whole.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
                let place = self.named.len();
                self.named.push(Named::Open);
                if self.names.insert(whole.clone(), place).is_some() {
                    return Err(format!("two types '{whole}'"));
                }
                self.named[place] = match kind.as_str() {
                    "enum" => {
                        let symbols = part("symbols")?.as_array().ok_or("symbols that are no list")?;
                        let symbols = symbols.iter().map(|symbol| symbol.as_str().map(str::to_owned));
                        Named::Enum(symbols.collect::<Option<_>>().ok_or("a symbol that is no text")?)
                    }
                    "fixed" => {
                        let size = part("size")?.as_u64().and_then(|size| usize::try_from(size).ok());
                        Named::Fixed(size.ok_or("a size that is no number")?, logical(object))
                    }
                    _ => {
                        let fields = part("fields")?.as_array().ok_or("fields that are no list")?;
                        let mut all = Vec::with_capacity(fields.len());
                        for field in fields {
                            let part = |key: &str| field.get(key).ok_or_else(|| format!("a field without '{key}'"));
                            let name = part("name")?.as_str().ok_or("a name that is no text")?.to_owned();
                            let of_field = |error| format!("field '{name}': {error}");
                            let read = self.read(part("type")?, &namespace, depth + 1).map_err(of_field)?;
                            all.push((name, read));
                        }
                        Named::Record(all)
                    }
                };
                Type::Named(place)
            }
            name => match (self.named(name, namespace)?, logical(object)) {
                (Type::Int(_), logical @ (Logical::Date | Logical::Time(1_000))) => Type::Int(logical),
                (
                    Type::Long(_),
                    logical @ (Logical::Time(1_000_000) | Logical::Timestamp(_) | Logical::LocalTimestamp(_)),
                ) => Type::Long(logical),
                (Type::Bytes(_), logical @ Logical::Decimal { .. }) => Type::Bytes(logical),
                (plain, _) => plain,
            },
        })
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn logical(object: &Map<String, Value>) -> Logical {
    let number = |key: &str| object.get(key).and_then(Value::as_u64);
    match object.get("logicalType").and_then(Value::as_str) {
        Some("decimal") => {
            let (precision, scale) = (number("precision").unwrap_or_default(), number("scale").unwrap_or_default());
            match (u8::try_from(precision), u8::try_from(scale)) {
                (Ok(precision), Ok(scale)) if precision > 0 && scale <= precision => {
                    Logical::Decimal { precision, scale }
                }
                _ => Logical::None,
            }
        }
        Some("uuid") => Logical::Uuid,
        Some("date") => Logical::Date,
        Some("time-millis") => Logical::Time(1_000),
        Some("time-micros") => Logical::Time(1_000_000),
        Some("timestamp-millis") => Logical::Timestamp(1_000),
        Some("timestamp-micros") => Logical::Timestamp(1_000_000),
        Some("timestamp-nanos") => Logical::Timestamp(1_000_000_000),
        Some("local-timestamp-millis") => Logical::LocalTimestamp(1_000),
        Some("local-timestamp-micros") => Logical::LocalTimestamp(1_000_000),
        Some("local-timestamp-nanos") => Logical::LocalTimestamp(1_000_000_000),
        _ => Logical::None,
    }
}
