//! What connectors that stand in front of another one say of its tables: what that says.

/// The methods of [`Connector`](weir_core::Connector) that open nothing and reach nothing, for one with a field `connector`.
macro_rules! forwarded {
    () => {
        fn name(&self) -> &'static str {
            self.connector.name()
        }

        fn supports(&self, role: weir_core::connector::Role) -> bool {
            self.connector.supports(role)
        }

        fn options(&self, given: &std::collections::BTreeMap<String, String>) -> Vec<weir_core::connector::OptionInfo> {
            self.connector.options(given)
        }

        fn settings(&self) -> &'static [&'static str] {
            self.connector.settings()
        }

        fn staged_schema(&self, table: &weir_core::TableSpec) -> arrow::datatypes::SchemaRef {
            self.connector.staged_schema(table)
        }

        fn takes(&self, table: &weir_core::TableSpec, stream: &weir_core::ChangelogKind) -> bool {
            self.connector.takes(table, stream)
        }

        fn changes_by_key(&self, table: &weir_core::TableSpec) -> bool {
            self.connector.changes_by_key(table)
        }

        fn check_stream(
            &self,
            table: &weir_core::TableSpec,
            stream: &weir_core::ChangelogKind,
        ) -> weir_core::Result<()> {
            self.connector.check_stream(table, stream)
        }

        fn succession(&self, table: &weir_core::TableSpec) -> Option<weir_core::connector::Succession> {
            self.connector.succession(table)
        }

        fn holds_splits(&self) -> bool {
            self.connector.holds_splits()
        }

        fn metadata_columns(&self) -> Vec<arrow::datatypes::Field> {
            self.connector.metadata_columns()
        }

        fn default_schema(
            &self,
            options: &std::collections::BTreeMap<String, String>,
        ) -> weir_core::Result<Option<arrow::datatypes::SchemaRef>> {
            self.connector.default_schema(options)
        }

        fn anchor(&self, options: &mut std::collections::BTreeMap<String, String>, directory: &std::path::Path) {
            self.connector.anchor(options, directory);
        }

        fn boundedness(&self, table: &weir_core::TableSpec) -> weir_core::connector::Boundedness {
            self.connector.boundedness(table)
        }
    };
}

pub(crate) use forwarded;
