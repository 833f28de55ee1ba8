//! Names of functions, and what they stand for.
//!
//! Names are DataFusion's, and Flink's where Flink has a function that DataFusion lacks or means something else by. A
//! name's own function is found again by [`ScalarUDF::name`], so a graph may store that.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use datafusion_expr::{AggregateUDF, ScalarUDF, Volatility};
use weir_core::plugin::{FunctionCode, FunctionKind, NoPlugins, PluginFunction, Plugins};
use weir_core::{Error, JobGraph, Result};

use crate::plugin::{AggregateOfPlugin, OfPlugin, usage};
use crate::refused::refused;
use crate::wrapped::wrapped;
use crate::{
    adapted, bytes, collections, date_format, digits, extract, extremes, field, interval, json, like, math, regex,
    rounding, sign, text, time, to_time, truncate, type_of, zones,
};

/// The functions that queries can call. Whoever plans a job and whoever runs it have to have the same. Operators of
/// [plugins](weir_core::plugin) are found here too, where a job has some.
#[derive(Debug, Clone, Default)]
pub struct Functions {
    plugins: Option<Arc<dyn Plugins>>,
    scalars: BTreeMap<String, Arc<ScalarUDF>>,
    aggregates: BTreeMap<String, Arc<AggregateUDF>>,
}

static BUILT_IN: LazyLock<Arc<Functions>> =
    LazyLock::new(|| Arc::new(Functions { plugins: None, scalars: scalars(), aggregates: aggregates() }));

impl Functions {
    /// Those that come with Weir. They are put together once a process.
    pub fn built_in() -> Arc<Self> {
        Arc::clone(&BUILT_IN)
    }

    /// The same, and these plugins.
    #[must_use]
    pub fn with_plugins(&self, plugins: Arc<dyn Plugins>) -> Self {
        Self { plugins: Some(plugins), ..self.clone() }
    }

    /// The same, and a function of a plugin that queries call by these names, in lower case, and that cannot be computed.
    #[must_use]
    pub fn declaring(&self, names: &[&str], function: &PluginFunction) -> Self {
        let mut functions = self.clone();
        functions.insert(names, function, None);
        functions
    }

    /// Makes a function of a plugin known by these names, instead of what has them.
    fn insert(&mut self, names: &[&str], function: &PluginFunction, code: Option<FunctionCode>) {
        for name in names {
            self.scalars.remove(*name);
            self.aggregates.remove(*name);
        }
        let names = names.iter().map(|name| (*name).to_owned());
        match (&function.signature.kind, code) {
            (FunctionKind::Scalar, code) => {
                let code = code.and_then(|code| if let FunctionCode::Scalar(code) = code { Some(code) } else { None });
                let function = OfPlugin::udf(function.clone(), code);
                self.scalars.extend(names.map(|name| (name, function.clone())));
            }
            (FunctionKind::Aggregate { .. }, code) => {
                let code =
                    code.and_then(|code| if let FunctionCode::Aggregate(code) = code { Some(code) } else { None });
                let function = AggregateOfPlugin::udaf(function.clone(), code);
                self.aggregates.extend(names.map(|name| (name, function.clone())));
            }
        }
    }

    /// The same without a function that was [declared](Self::declaring).
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let mut functions = self.clone();
        functions.scalars.remove(name);
        functions.aggregates.remove(name);
        functions
    }

    /// The same, and those functions of plugins that a job calls and that are not here, without their code.
    #[must_use]
    pub fn declaring_missing(&self, graph: &JobGraph) -> Self {
        let is_here = |name: &String| self.scalars.contains_key(name) || self.aggregates.contains_key(name);
        let missing = graph.functions().iter().filter(|function| !is_here(&function.name));
        missing.fold(self.clone(), |functions, function| functions.declaring(&[&function.name], function))
    }

    /// The same, these plugins, and those of their functions that a job calls.
    ///
    /// # Errors
    /// If a plugin is not there, or a function in it is not what the job was planned with.
    pub fn of_job(&self, graph: &JobGraph, plugins: Arc<dyn Plugins>) -> Result<Self> {
        let mut functions = self.clone();
        for function in graph.functions() {
            let code = bound(function, &*plugins).map_err(|error| {
                error
                    .context(format!("the function `{}` cannot be called", PluginFunction::name_in_sql(&function.name)))
            })?;
            functions.insert(&[&function.name], function, Some(code));
        }
        Ok(Self { plugins: Some(plugins), ..functions })
    }

    /// Where plugins are found.
    pub fn plugins(&self) -> &dyn Plugins {
        self.plugins.as_deref().unwrap_or(&NoPlugins)
    }

    /// The same, for those who outlive this.
    pub fn shared_plugins(&self) -> Arc<dyn Plugins> {
        self.plugins.clone().unwrap_or_else(|| Arc::new(NoPlugins))
    }

    /// The scalar function of that name, whatever its case. Functions that [`refused()`] names are not among them.
    pub fn scalar(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.scalars.get(&name.to_lowercase()).cloned()
    }

    /// The aggregate function of that name, whatever its case.
    pub fn aggregate(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.aggregates.get(&name.to_lowercase()).cloned()
    }

    /// Names of all scalar functions, aliases included, sorted and in lower case.
    pub fn scalar_names(&self) -> Vec<String> {
        self.scalars.keys().filter(can_be_written).cloned().collect()
    }

    /// Names of all aggregate functions, aliases included, sorted and in lower case.
    pub fn aggregate_names(&self) -> Vec<String> {
        self.aggregates.keys().filter(can_be_written).cloned().collect()
    }

    /// Whether an aggregate is a plugin's.
    pub fn is_of_plugin(function: &AggregateUDF) -> bool {
        function.inner().is::<AggregateOfPlugin>()
    }
}

/// What only expressions of a script call is nobody's to write.
fn can_be_written(name: &&String) -> bool {
    PluginFunction::name_in_sql(name) == name.as_str()
}

/// The code of a function.
fn bound(function: &PluginFunction, plugins: &dyn Plugins) -> Result<FunctionCode> {
    let plugin = plugins.find(function.artifact.as_ref())?;
    let PluginFunction { name, signature, .. } = function;
    let name = PluginFunction::name_in_sql(name);
    let (exported, code) = plugin.function(&signature.name)?;
    if !exported.agrees_with(signature) {
        let there = PluginFunction { signature: exported, ..function.clone() };
        let message = format!("it was declared as `{}`, and in the plugin it is `{}`", usage(function), usage(&there));
        return Err(Error::user(message).with_help(format!(
            "drop it, and create it with `CREATE FUNCTION {name} AS '{}' USING ARTIFACT …`",
            signature.name
        )));
    }
    match (&signature.kind, &code) {
        (FunctionKind::Scalar, FunctionCode::Scalar(_))
        | (FunctionKind::Aggregate { .. }, FunctionCode::Aggregate(_)) => Ok(code),
        _ => Err(Error::user("the plugin has other code for it than it has declared")),
    }
}

/// Other names of DataFusion's scalar functions. Its own `nvl` makes a DOUBLE of a DECIMAL.
const SCALAR_ALIASES: [(&str, &str); 9] = [
    ("ceiling", "ceil"),
    ("endswith", "ends_with"),
    ("ifnull", "coalesce"),
    ("lcase", "lower"),
    ("nvl", "coalesce"),
    ("sign", "signum"),
    ("startswith", "starts_with"),
    ("truncate", "trunc"),
    ("ucase", "upper"),
];

/// Other names of Weir's own scalar functions.
const OWN_ALIASES: [(&str, &str); 4] =
    [("datetrunc", "date_trunc"), ("day", "dayofmonth"), ("pow", "power"), ("substring", "substr")];

/// Other names of DataFusion's aggregate functions.
const AGGREGATE_ALIASES: [(&str, &str); 5] = [
    ("approx_count_distinct", "approx_distinct"),
    ("every", "bool_and"),
    ("listagg", "string_agg"),
    ("percentile", "percentile_cont"),
    ("variance", "var"),
];

fn scalars() -> BTreeMap<String, Arc<ScalarUDF>> {
    let mut functions = BTreeMap::new();
    let datafusion = datafusion_functions::all_default_functions()
        .into_iter()
        .chain(datafusion_functions_nested::all_default_nested_functions());
    for function in datafusion.chain([extract::DatePart::function(), field::GetField::function()]) {
        let function = adapted::Adapted::function(function);
        for name in function.aliases() {
            functions.insert(name.to_lowercase(), function.clone());
        }
        functions.insert(function.name().to_lowercase(), function);
    }
    for name in ["greatest", "least"] {
        if let Some(function) = functions.get(name).cloned() {
            functions.insert(name.to_owned(), extremes::NullIfAny::function(function));
        }
    }
    for function in rounding::functions().into_iter().chain([sign::function()]) {
        functions.insert(function.name().to_owned(), function);
    }
    for (alias, name) in SCALAR_ALIASES {
        if let Some(function) = functions.get(name).cloned() {
            functions.insert(alias.to_owned(), function);
        }
    }
    // Flink's meaning wins over DataFusion's of the same name: `DATE_FORMAT` takes Java's patterns.
    for function in own_functions() {
        for other in functions.values_mut().filter(|other| other.name() == function.name()) {
            *other = function.clone();
        }
        functions.insert(function.name().to_owned(), function);
    }
    for (alias, name) in OWN_ALIASES {
        if let Some(function) = functions.get(name).cloned() {
            functions.insert(alias.to_owned(), function);
        }
    }
    functions.retain(|name, function| refused(name).is_none() && refused(function.name()).is_none());
    functions
}

fn aggregates() -> BTreeMap<String, Arc<AggregateUDF>> {
    let mut functions = BTreeMap::new();
    for function in datafusion_functions_aggregate::all_default_aggregate_functions() {
        for name in function.aliases() {
            functions.insert(name.to_lowercase(), function.clone());
        }
        functions.insert(function.name().to_lowercase(), function);
    }
    for (alias, name) in AGGREGATE_ALIASES {
        if let Some(function) = functions.get(name).cloned() {
            functions.insert(alias.to_owned(), function);
        }
    }
    functions
}

/// Functions that DataFusion lacks.
fn own_functions() -> Vec<Arc<ScalarUDF>> {
    let immutable = [
        regex::REGEXP,
        regex::REGEXP_COUNT,
        regex::REGEXP_EXTRACT,
        regex::REGEXP_EXTRACT_ALL,
        regex::REGEXP_INSTR,
        regex::REGEXP_REPLACE,
        regex::REGEXP_SUBSTR,
        text::characters::ASCII,
        text::characters::CHR,
        text::characters::HASH_CODE,
        text::characters::IS_ALPHA,
        text::characters::IS_DECIMAL,
        text::characters::IS_DIGIT,
        text::locate::COUNT_CHAR,
        text::locate::LOCATE,
        text::pad::LPAD,
        text::pad::REPEAT,
        text::pad::RPAD,
        text::replace::REPLACE,
        text::split::SPLIT,
        text::split::SPLIT_INDEX,
        text::split::STR_TO_MAP,
        text::substring::LEFT,
        text::substring::OVERLAY,
        text::substring::RIGHT,
        text::substring::SUBSTR,
        bytes::base64::FROM_BASE64,
        bytes::base64::TO_BASE64,
        bytes::charset::DECODE,
        bytes::charset::ENCODE,
        bytes::hashes::SHA1,
        bytes::hashes::SHA2,
        bytes::hashes::SHA224,
        bytes::hashes::SHA256,
        bytes::hashes::SHA384,
        bytes::hashes::SHA512,
        bytes::length::LEFT_BYTES,
        bytes::length::RPAD_BYTES,
        bytes::url::PARSE_URL,
        bytes::url::URL_DECODE,
        bytes::url::URL_ENCODE,
        like::LIKE_PATTERN,
        date_format::DATE_FORMAT,
        date_format::FROM_UNIXTIME,
        digits::BIN,
        digits::HEX,
        digits::UNHEX,
        digits::INET_NTOA,
        interval::INTERVAL_TIMES,
        math::SQRT,
        math::EXP,
        math::LN,
        math::LOG2,
        math::LOG10,
        math::LOG,
        math::POWER,
        math::E,
        time::YEAR,
        time::QUARTER,
        time::MONTH,
        time::WEEK,
        time::DAYOFYEAR,
        time::DAYOFMONTH,
        time::DAYOFWEEK,
        time::HOUR,
        time::MINUTE,
        time::SECOND,
        time::TIMESTAMPDIFF,
        time::TIMESTAMPADD,
        to_time::TO_DATE,
        to_time::TO_TIMESTAMP,
        to_time::TO_TIMESTAMP_LTZ,
        to_time::UNIX_TIMESTAMP,
        truncate::DATE_TRUNC,
        truncate::TIME_FLOOR,
        truncate::TIME_CEIL,
        zones::CONVERT_TZ,
        json::JSON_VALUE,
        json::JSON_QUERY,
        json::JSON_EXISTS,
        json::JSON_GET,
        json::JSON_GET_TEXT,
        json::IS_JSON,
        json::construct::JSON_QUOTE,
        json::construct::JSON_UNQUOTE,
    ];
    let polymorphic = [
        text::concat::CONCAT,
        text::concat::CONCAT_WS,
        text::concat::ELT,
        text::printf::PRINTF,
        collections::arrays::ARRAY_APPEND,
        collections::arrays::ARRAY_CONCAT,
        collections::arrays::ARRAY_CONTAINS,
        collections::arrays::ARRAY_ELEMENT,
        collections::arrays::ARRAY_POSITION,
        collections::arrays::ARRAY_PREPEND,
        collections::arrays::ARRAY_REMOVE,
        collections::arrays::CARDINALITY,
        collections::arrays::ELEMENT,
        collections::maps::MAP_ENTRIES,
        collections::maps::MAP_FROM_ARRAYS,
        collections::maps::MAP_OF,
        collections::maps::MAP_UNION,
        collections::multiset::MULTISET_OF,
        collections::ordinals::ARRAY_ORDINALS,
        json::aggregate::JSON_OF_ARRAY,
        json::aggregate::JSON_OF_MEMBERS,
        json::construct::JSON_ARRAY,
        json::construct::JSON_OBJECT,
        json::construct::JSON_STRING,
    ];
    let immutable = immutable.into_iter().map(|function| wrapped(function, Volatility::Immutable));
    let polymorphic = polymorphic.into_iter().map(|function| wrapped(function, Volatility::Immutable));
    immutable
        .chain(polymorphic)
        .chain([type_of::TypeOf::function()])
        .chain([wrapped(time::PROCTIME, Volatility::Volatile)])
        .collect()
}
