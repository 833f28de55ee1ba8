//! `Record` for structs: a column for each field.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Error, Fields, Ident, Result, Type};

use crate::attributes::{OnField, OnType};
use crate::enumeration;

struct Column<'a> {
    ident: &'a Ident,
    data_type: &'a Type,
    name: String,
    settings: OnField,
}

/// The implementations.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            "a record has no type parameters or lifetimes: its columns are those of one type",
        ));
    }
    let on_type = OnType::parse(&input.attrs)?;
    let fields = match &input.data {
        Data::Enum(variants) => return enumeration::expand(input, variants, &on_type),
        Data::Union(_) => return Err(Error::new_spanned(&input.ident, "a union is no record: use a struct")),
        Data::Struct(fields) => match &fields.fields {
            Fields::Named(named) if !named.named.is_empty() => &named.named,
            _ => {
                return Err(Error::new_spanned(
                    &input.ident,
                    "a record is a struct with named fields, at least one: columns are called by them",
                ));
            }
        },
    };
    let mut columns: Vec<Column<'_>> = Vec::new();
    for field in fields {
        let Some(ident) = &field.ident else { continue };
        let settings = OnField::parse(&field.attrs, "record", &["name", "event_time", "default", "was"])?;
        let name = settings.name.clone().unwrap_or_else(|| on_type.name(ident));
        if columns.iter().any(|other| other.name == name) {
            return Err(Error::new_spanned(ident, format!("two columns are called `{name}`")));
        }
        columns.push(Column { ident, data_type: &field.ty, name, settings });
    }
    let mut times = columns.iter().enumerate().filter(|(_, column)| column.settings.event_time);
    let event_time = times.next();
    if let Some((_, second)) = times.next() {
        return Err(Error::new_spanned(second.ident, "a row has one event time, and another field has it already"));
    }
    Ok(implementations(&input.ident, &columns, event_time))
}

fn implementations(record: &Ident, columns: &[Column<'_>], event_time: Option<(usize, &Column<'_>)>) -> TokenStream {
    let (reader, builder) = (format_ident!("{record}Reader"), format_ident!("{record}Builder"));
    let idents: Vec<_> = columns.iter().map(|column| column.ident).collect();
    let types: Vec<_> = columns.iter().map(|column| column.data_type).collect();
    let names: Vec<_> = columns.iter().map(|column| &column.name).collect();
    let positions: Vec<_> = (0..columns.len()).collect();
    let defaults = columns.iter().map(|column| match &column.settings.default {
        Some(default) => quote!(::core::option::Option::Some(#default)),
        None => quote!(::core::option::Option::None),
    });
    let former = columns.iter().map(|column| column.settings.was.as_ref().unwrap_or(&column.name));
    let (time_position, time) = match event_time {
        None => (quote!(::core::option::Option::None), quote!(::core::option::Option::None)),
        Some((position, column)) => {
            let (ident, data_type) = (column.ident, column.data_type);
            (
                quote!(::core::option::Option::Some(#position)),
                quote!(<#data_type as ::weir_jobs::record::EventTimeColumn>::time(&self.#ident)),
            )
        }
    };
    let text = record.to_string();
    quote! {
        #[automatically_derived]
        #[allow(missing_docs, clippy::all, reason = "generated")]
        const _: () = {
            use ::weir_jobs::record::{Column, parts};

            pub struct #reader<'a> { #(#idents: <#types as Column>::Reader<'a>,)* }

            pub struct #builder { #(#idents: <#types as Column>::Builder,)* nulls: parts::NullBufferBuilder }

            impl Column for #record {
                type Reader<'a> = #reader<'a>;
                type Builder = #builder;

                fn data_type() -> parts::DataType {
                    parts::DataType::Struct(parts::plain(<Self as Column>::fields("")))
                }

                fn fields(_name: &str) -> ::std::vec::Vec<parts::Field> {
                    ::std::vec![#(
                        parts::field::<#types>(#names, #defaults, #former),
                    )*]
                }

                fn reader<'a>(
                    array: &'a parts::ArrayRef,
                    valid: ::core::option::Option<&parts::NullBuffer>,
                ) -> ::weir_jobs::Result<#reader<'a>> {
                    let (children, valid) = parts::struct_children(array, valid)?;
                    <Self as Column>::columns_reader(children, valid.as_ref())
                }

                fn columns_reader<'a>(
                    columns: &'a [parts::ArrayRef],
                    valid: ::core::option::Option<&parts::NullBuffer>,
                ) -> ::weir_jobs::Result<#reader<'a>> {
                    parts::check_width(#text, columns.len(), &[#(#names),*])?;
                    ::core::result::Result::Ok(#reader {
                        #(#idents: parts::child_reader::<#types>(#text, #names, &columns[#positions], valid)?,)*
                    })
                }

                #[inline]
                fn read(reader: &#reader<'_>, row: usize) -> Self {
                    Self { #(#idents: <#types as Column>::read(&reader.#idents, row),)* }
                }

                #[inline]
                fn equals(&self, reader: &#reader<'_>, row: usize) -> bool {
                    true #(&& <#types as Column>::equals(&self.#idents, &reader.#idents, row))*
                }

                fn builder(capacity: usize) -> #builder {
                    #builder {
                        #(#idents: <#types as Column>::builder(capacity),)*
                        nulls: parts::NullBufferBuilder::new(capacity),
                    }
                }

                #[inline]
                fn append_to(&self, builder: &mut #builder) {
                    #(<#types as Column>::append_to(&self.#idents, &mut builder.#idents);)*
                    builder.nulls.append_non_null();
                }

                fn push_null(builder: &mut #builder) {
                    #(<#types as Column>::push_null(&mut builder.#idents);)*
                    builder.nulls.append_null();
                }

                fn finish(builder: &mut #builder) -> parts::ArrayRef {
                    let nulls = builder.nulls.finish();
                    let columns = <Self as Column>::finish_columns(builder);
                    parts::struct_array(parts::plain(<Self as Column>::fields("")), columns, nulls)
                }

                fn finish_columns(builder: &mut #builder) -> ::std::vec::Vec<parts::ArrayRef> {
                    builder.nulls = parts::NullBufferBuilder::new(0);
                    ::std::vec![#(<#types as Column>::finish(&mut builder.#idents),)*]
                }
            }

            impl ::weir_jobs::Record for #record {
                const NAME: &'static str = #text;
                const EVENT_TIME: ::core::option::Option<usize> = #time_position;

                #[inline]
                fn event_time(&self) -> ::core::option::Option<::weir_jobs::Timestamp> {
                    #time
                }
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let input = syn::parse_str::<DeriveInput>(text).expect("it is Rust");
        expand(&input).expect_err("it is refused").to_string()
    }

    #[test]
    fn what_is_no_record_is_refused_in_so_many_words() {
        assert!(refusal("struct Click(String);").contains("named fields"));
        assert!(refusal("struct Click {}").contains("at least one"));
        assert!(refusal("struct Click<'a> { page: &'a str }").contains("lifetimes"));
        assert!(refusal("union Click { page: u64 }").contains("union"));
        assert!(refusal("struct Click { #[record(rename = \"p\")] page: u64 }").contains("only name, event_time"));
        assert!(
            refusal("struct Click { a: u64, #[record(name = \"a\")] b: u64 }").contains("two columns are called `a`")
        );
        let times = "struct Click { #[record(event_time)] a: Timestamp, #[record(event_time)] b: Timestamp }";
        assert!(refusal(times).contains("one event time"));
        assert!(refusal("enum Kind { View, Click(u64) }").contains("without data"));
        assert!(refusal("enum Kind {}").contains("at least one"));
        assert!(refusal("#[record(rename_all = \"Snake\")] enum Kind { View }").contains("no case"));
    }
}
