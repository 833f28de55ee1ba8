//! `State` for structs: a piece of state for each field.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Result};

use crate::attributes::{OnField, dropped};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let ident = &input.ident;
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "the state of a key has no type parameters or lifetimes"));
    }
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(ident, "the state of a key is a struct: its fields are the pieces of state"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(
            ident,
            "the state of a key has named fields: state is found again by their names",
        ));
    };
    let mut names: Vec<String> = Vec::new();
    for field in &fields.named {
        let Some(ident) = &field.ident else { continue };
        let name = OnField::parse(&field.attrs, "state", &["name"])?.name.unwrap_or_else(|| ident.to_string());
        if names.contains(&name) {
            return Err(Error::new_spanned(ident, format!("two pieces of state are called `{name}`")));
        }
        names.push(name);
    }
    let dropped = dropped(&input.attrs)?;
    if let Some(kept) = dropped.iter().find(|name| names.contains(&name.value())) {
        return Err(Error::new_spanned(kept, format!("`{}` is a piece of this state", kept.value())));
    }
    let idents: Vec<_> = fields.named.iter().map(|field| &field.ident).collect();
    let types: Vec<_> = fields.named.iter().map(|field| &field.ty).collect();
    let positions: Vec<_> = (0..names.len()).collect();
    Ok(quote! {
        #[automatically_derived]
        #[allow(clippy::all, reason = "generated")]
        const _: () = {
            use ::weir_jobs::state::parts;

            impl ::weir_jobs::State for #ident {
                const TIMERS: bool = false #(|| <#types as parts::Item>::IS_TIMER)*;
                const DROPPED: &'static [&'static str] = &[#(#dropped),*];

                fn declarations() -> ::std::vec::Vec<parts::Declaration> {
                    ::std::vec![#(parts::Declaration::of::<#types>(#names)),*]
                }

                fn each(&mut self, visit: &mut dyn FnMut(usize, &mut dyn parts::AnyItem)) {
                    #(visit(#positions, &mut self.#idents);)*
                }

                fn item(&mut self, position: usize) -> ::core::option::Option<&mut dyn parts::AnyItem> {
                    match position {
                        #(#positions => ::core::option::Option::Some(&mut self.#idents),)*
                        _ => ::core::option::Option::None,
                    }
                }
            }
        };
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_has_names() {
        let refusal = |text: &str| {
            let input = syn::parse_str::<DeriveInput>(text).expect("it is Rust");
            expand(&input).expect_err("it is refused").to_string()
        };
        assert!(refusal("struct S(ValueState<u64>);").contains("named fields"));
        assert!(refusal("enum S { A }").contains("is a struct"));
        assert!(refusal("struct S { a: Timer, #[state(name = \"a\")] b: Timer }").contains("two pieces"));
        assert!(refusal("#[state(dropped = \"a\")] struct S { a: Timer }").contains("is a piece of this state"));
        assert!(refusal("#[state(name = \"a\")] struct S { a: Timer }").contains("no such setting"));
    }
}
