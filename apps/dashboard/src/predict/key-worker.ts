// the worker of the prediction page: all secret keys are made and used in it, and never leave it
import "@consilium/inference-client/worker/entry"
