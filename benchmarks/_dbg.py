from benchmarks.scaling import Clock as C
from torch.distributed.tensor import DTensor
class Clock(C):
    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        super().on_before_optimizer_step(trainer, pl_module, optimizer)
        if trainer.global_step==3 and trainer.is_global_zero:
            for n,p in pl_module.named_parameters():
                print(n, tuple(p.shape), p.numel(), p.to_local().shape, p.grad is not None and p.grad.to_local().shape, {k:(v.to_local().shape if isinstance(v,DTensor) else v.shape) for k,v in optimizer.state[p].items()},flush=True)
