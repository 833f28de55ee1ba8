//! `Record` for enums without data: a column of text.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DataEnum, DeriveInput, Error, Fields, Result};

use crate::attributes::{OnField, OnType};

pub(crate) fn expand(input: &DeriveInput, data: &DataEnum, on_type: &OnType) -> Result<TokenStream> {
    let ident = &input.ident;
    let mut texts: Vec<String> = Vec::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new_spanned(
                variant,
                "an enum in a record is text, so its variants are without data: use a struct with optional fields",
            ));
        }
        let name = OnField::parse(&variant.attrs, "record", &["name"])?.name;
        let text = name.unwrap_or_else(|| on_type.name(&variant.ident));
        if texts.contains(&text) {
            return Err(Error::new_spanned(variant, format!("two variants are `{text}`")));
        }
        texts.push(text);
    }
    if texts.is_empty() || texts.len() > 256 {
        return Err(Error::new_spanned(ident, "an enum in a record has at least one variant, and no more than 256"));
    }
    let variants: Vec<_> = data.variants.iter().map(|variant| &variant.ident).collect();
    let name = ident.to_string();
    Ok(quote! {
        #[automatically_derived]
        #[allow(clippy::all, reason = "generated")]
        const _: () = {
            use ::weir_jobs::record::{Column, parts};

            impl #ident {
                fn __text(&self) -> &'static str {
                    match self { #(Self::#variants => #texts,)* }
                }
            }

            impl Column for #ident {
                type Reader<'a> = ::std::vec::Vec<u8>;
                type Builder = parts::StringViewBuilder;

                fn data_type() -> parts::DataType {
                    parts::DataType::Utf8View
                }

                fn reader<'a>(
                    array: &'a parts::ArrayRef,
                    valid: ::core::option::Option<&parts::NullBuffer>,
                ) -> ::weir_jobs::Result<::std::vec::Vec<u8>> {
                    parts::variants(#name, &[#(#texts),*], array, valid)
                }

                #[inline]
                fn read(reader: &::std::vec::Vec<u8>, row: usize) -> Self {
                    const VARIANTS: &[fn() -> #ident] = &[#(|| #ident::#variants),*];
                    VARIANTS[usize::from(reader[row])]()
                }

                fn equals(&self, reader: &::std::vec::Vec<u8>, row: usize) -> bool {
                    <Self as Column>::read(reader, row).__text() == self.__text()
                }

                fn builder(capacity: usize) -> parts::StringViewBuilder {
                    parts::StringViewBuilder::with_capacity(capacity)
                }

                #[inline]
                fn append_to(&self, builder: &mut parts::StringViewBuilder) {
                    builder.append_value(self.__text());
                }

                fn push_null(builder: &mut parts::StringViewBuilder) {
                    builder.append_null();
                }

                fn finish(builder: &mut parts::StringViewBuilder) -> parts::ArrayRef {
                    ::std::sync::Arc::new(builder.finish())
                }
            }
        };
    })
}
