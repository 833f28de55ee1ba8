//! What SQL calls: functions that do what they say, and some that do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringViewArray};
use arrow::datatypes::{DataType, Field, Int64Type};
use weir_core::plugin::{
    AggregateFunction, AggregateGroup, FunctionCode, FunctionKind, FunctionSignature, ScalarFunction,
};
use weir_core::{Error, Result};

use crate::Fault;
use crate::fault::Risk;

/// The name of a function, its parameters with whether they may be null, its result, and what it does.
type Function =
    (&'static str, &'static [(DataType, bool)], (DataType, bool), fn(&[ArrayRef], usize) -> Result<ArrayRef>);

const TEXT: DataType = DataType::Utf8View;
const NUMBER: DataType = DataType::Int64;

const ALL: [Function; 10] = [
    // Of a text: it and an exclamation mark.
    ("shout", &[(TEXT, false)], (TEXT, false), |arguments, _| {
        let texts = arguments[0].as_string_view().iter();
        Ok(Arc::new(StringViewArray::from_iter(texts.map(|text| text.map(|text| format!("{text}!"))))))
    }),
    // Of no number: zero.
    ("or_zero", &[(NUMBER, true)], (NUMBER, false), |arguments, _| {
        let numbers = arguments[0].as_primitive::<Int64Type>().iter();
        Ok(Arc::new(Int64Array::from_iter_values(numbers.map(Option::unwrap_or_default))))
    }),
    // How many rows it is called with at once.
    ("batch", &[], (NUMBER, false), |_, rows| {
        let rows_of_batch = i64::try_from(rows).map_err(|_| Error::internal("there are too many rows"))?;
        Ok(Arc::new(Int64Array::from(vec![rows_of_batch; rows])))
    }),
    // Does what the text says, for the first row.
    ("fault", &[(TEXT, false)], (TEXT, true), |arguments, _| {
        let texts = arguments[0].as_string_view();
        if texts.is_empty() {
            return Ok(arguments[0].clone());
        }
        texts.value(0).parse::<Fault>()?.happen()?;
        Ok(arguments[0].clone())
    }),
    // The same of each text that is the name of a fault, once: there is a file that is written then. Of others: they and an exclamation mark.
    ("risky", &[(TEXT, false), (TEXT, false)], (TEXT, false), |arguments, _| {
        let (texts, files) = (arguments[0].as_string_view(), arguments[1].as_string_view());
        let told = texts.iter().flatten().zip(files.iter().flatten()).map(|(text, file)| {
            risk(text, file).happen()?;
            Ok(Some(format!("{text}!")))
        });
        Ok(Arc::new(told.collect::<Result<StringViewArray>>()?))
    }),
    // Says that it makes text.
    ("wrong_type", &[(NUMBER, true)], (TEXT, true), |arguments, _| Ok(arguments[0].clone())),
    // Leaves the last row out.
    ("too_few", &[(NUMBER, true)], (NUMBER, true), |arguments, rows| Ok(arguments[0].slice(0, rows.saturating_sub(1)))),
    // Makes a number or a text, and says so, by turns.
    ("fickle", &[], (NUMBER, false), |_, rows| Ok(Arc::new(Int64Array::from(vec![7; rows])))),
    // Its code is looked for, for ever.
    ("lost", &[], (NUMBER, false), |_, rows| Ok(Arc::new(Int64Array::from(vec![0; rows])))),
    // Says that it makes no null.
    ("null", &[(NUMBER, true)], (NUMBER, false), |_, rows| Ok(Arc::new(Int64Array::from(vec![None; rows])))),
];

/// What goes wrong if a text is the name of a fault.
fn risk(text: &str, file: &str) -> Risk {
    Risk::new(text.parse().ok(), Some(file))
}

/// How often it was asked what `fickle` makes.
static TURNS: AtomicUsize = AtomicUsize::new(0);

fn fickle_text(_: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    Ok(Arc::new(StringViewArray::from(vec!["a text that is too long to stand in its view"; rows])))
}

pub(crate) fn signatures() -> Vec<FunctionSignature> {
    let letters = || ('a'..).map(|letter| letter.to_string());
    let signature = |(name, parameters, result, _): &Function| {
        let parameters = letters().zip(*parameters);
        FunctionSignature {
            name: (*name).to_owned(),
            parameters: parameters
                .map(|(letter, (data_type, nullable))| Field::new(letter, data_type.clone(), *nullable))
                .collect(),
            result: match *name {
                "fickle" if TURNS.fetch_add(1, Ordering::Relaxed) % 2 == 1 => TEXT,
                _ => result.0.clone(),
            },
            nullable: result.1,
            deterministic: *name != "batch",
            kind: FunctionKind::Scalar,
        }
    };
    ALL.iter().map(signature).chain([longest(), letters_of_texts()]).collect()
}

/// The longest text of a group, and of several the last in the order of the alphabet. Does what a text says that is the name of a fault.
fn longest() -> FunctionSignature {
    FunctionSignature {
        name: "longest".into(),
        parameters: vec![Field::new("text", TEXT, false)],
        result: TEXT,
        nullable: true,
        deterministic: true,
        kind: FunctionKind::Aggregate { state: TEXT },
    }
}

/// The letters of all texts of a group. With each text comes a file, as with `risky`.
fn letters_of_texts() -> FunctionSignature {
    FunctionSignature {
        name: "letters".into(),
        parameters: vec![Field::new("text", TEXT, false), Field::new("file", TEXT, false)],
        result: NUMBER,
        nullable: false,
        deterministic: true,
        kind: FunctionKind::Aggregate { state: NUMBER },
    }
}

#[derive(Debug)]
struct Letters;

impl AggregateFunction for Letters {
    fn group(&self) -> Result<Box<dyn AggregateGroup>> {
        Ok(Box::new(LettersOf(0)))
    }
}

struct LettersOf(i64);

impl AggregateGroup for LettersOf {
    fn update(&mut self, arguments: &[ArrayRef], _: usize) -> Result<()> {
        let (texts, files) = (arguments[0].as_string_view(), arguments[1].as_string_view());
        for (text, file) in texts.iter().flatten().zip(files.iter().flatten()) {
            risk(text, file).happen()?;
            self.0 += text.chars().count() as i64;
        }
        Ok(())
    }

    fn merge(&mut self, states: &ArrayRef) -> Result<()> {
        self.0 += states.as_primitive::<Int64Type>().iter().flatten().sum::<i64>();
        Ok(())
    }

    fn state(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(Int64Array::from(vec![self.0])))
    }

    fn result(&mut self) -> Result<ArrayRef> {
        self.state()
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

#[derive(Debug)]
struct Longest;

impl AggregateFunction for Longest {
    fn group(&self) -> Result<Box<dyn AggregateGroup>> {
        Ok(Box::new(LongestOf(None)))
    }
}

struct LongestOf(Option<String>);

impl AggregateGroup for LongestOf {
    fn update(&mut self, arguments: &[ArrayRef], _: usize) -> Result<()> {
        for text in arguments[0].as_string_view().iter().flatten() {
            if let Ok(fault) = text.parse::<Fault>() {
                fault.happen()?;
            }
            let of = |text: &String| (text.chars().count(), text.clone());
            let text = Some(text.to_owned());
            if text.as_ref().map(of) > self.0.as_ref().map(of) {
                self.0 = text;
            }
        }
        Ok(())
    }

    fn merge(&mut self, states: &ArrayRef) -> Result<()> {
        self.update(std::slice::from_ref(states), states.len())
    }

    fn state(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(StringViewArray::from(vec![self.0.clone()])))
    }

    fn result(&mut self) -> Result<ArrayRef> {
        // A text that says so makes what was not declared.
        match self.0.as_deref() {
            Some("a number, which is no text") => Ok(Arc::new(Int64Array::from(vec![1]))),
            _ => self.state(),
        }
    }

    fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, String::len)
    }
}

pub(crate) fn find(name: &str) -> Result<(FunctionSignature, FunctionCode)> {
    match name {
        "longest" => return Ok((longest(), FunctionCode::Aggregate(Arc::new(Longest)))),
        "lost" => Fault::Loop.happen()?,
        "letters" => return Ok((letters_of_texts(), FunctionCode::Aggregate(Arc::new(Letters)))),
        _ => {}
    }
    let found = ALL.iter().zip(signatures()).find(|((known, ..), _)| *known == name);
    let ((.., code), signature) =
        found.ok_or_else(|| Error::user(format!("the plugin exports no function '{name}'")))?;
    let code = if name == "fickle" && signature.result == TEXT { fickle_text } else { *code };
    Ok((signature, FunctionCode::Scalar(Arc::new(Code(code)))))
}

#[derive(Debug)]
struct Code(fn(&[ArrayRef], usize) -> Result<ArrayRef>);

impl ScalarFunction for Code {
    fn call(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        (self.0)(arguments, rows)
    }
}
