//! The calls of `weir.client.v1.Cluster`, once: request, method, message, response. Server, client and tests are made from this.

macro_rules! each_rpc {
    ($make:ident) => {
        $make! {
            SubmitJob submit_job SubmitJobRequest SubmitJobResponse,
            ListJobs list_jobs ListJobsRequest ListJobsResponse,
            DescribeJob describe_job DescribeJobRequest DescribeJobResponse,
            StopJob stop_job StopJobRequest Accepted,
            CancelJob cancel_job CancelJobRequest Accepted,
            RestartJob restart_job RestartJobRequest Accepted,
            RescaleJob rescale_job RescaleJobRequest Accepted,
            SetScaling set_scaling SetScalingRequest Accepted,
            DeleteJob delete_job DeleteJobRequest Accepted,
            TakeSavepoint take_savepoint TakeSavepointRequest TakeSavepointResponse,
            ListCheckpoints list_checkpoints ListCheckpointsRequest ListCheckpointsResponse,
            ForgetCheckpoint forget_checkpoint ForgetCheckpointRequest Accepted,
            AuditSinks audit_sinks AuditSinksRequest AuditSinksResponse,
            ExpectResults expect_results ExpectResultsRequest Accepted,
            ReadResults read_results ReadResultsRequest ReadResultsResponse,
            PutArtifact put_artifact PutArtifactRequest PutArtifactResponse,
            ListWorkers list_workers ListWorkersRequest ListWorkersResponse,
            DrainWorker drain_worker DrainWorkerRequest Accepted,
            ListNamespaces list_namespaces ListNamespacesRequest ListNamespacesResponse,
            SetNamespace set_namespace SetNamespaceRequest Accepted,
            DropNamespace drop_namespace DropNamespaceRequest Accepted,
            ShowCatalog show_catalog ShowCatalogRequest ShowCatalogResponse,
            ReplaceCatalog replace_catalog ReplaceCatalogRequest Accepted,
            ListTokens list_tokens ListTokensRequest ListTokensResponse,
            CreateToken create_token CreateTokenRequest Accepted,
            RevokeToken revoke_token RevokeTokenRequest Accepted,
            DescribeCluster describe_cluster DescribeClusterRequest DescribeClusterResponse,
            AddCoordinator add_coordinator AddCoordinatorRequest Accepted,
            RemoveCoordinator remove_coordinator RemoveCoordinatorRequest Accepted,
            TransferLeadership transfer_leadership TransferLeadershipRequest Accepted,
        }
    };
}
